"""Write scheduler: keys, then values, through one set of DACs into one slot of the window."""

from amaranth import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from analog_models.spec import HardwareSpec

__all__ = ["WritePort", "WriteScheduler"]


class WritePort(wiring.Signature):
    """The pins that write the arrays.

    Members
    -------
    code : Out
        DAC codes of the cells of one slot, lane by lane.
    slot : Out
        The slot that a strobe writes: a column of its sub-tile's K array, a row of its V array.
    strobe_k, strobe_v : Out(1)
        Write the K or the V array.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        bits = spec.levels.kv_max.bit_length() * spec.geometry.head_dim
        super().__init__(
            {
                "code": Out(bits),
                "slot": Out(range(spec.geometry.window)),
                "strobe_k": Out(1),
                "strobe_v": Out(1),
            }
        )


class WriteScheduler(wiring.Component):
    """Puts codes, slot and strobes of the current token on the write port.

    Members
    -------
    k, v : In
        Key and value codes of the token, lane by lane, constant while it is written.
    slot : In
        Its slot.
    write_v : In(1)
        The DACs drive the values instead of the keys.
    strobe_k, strobe_v : In(1)
        From the sequencer, each inside its write phase (`timeline`).
    port : Out(WritePort)
    """

    def __init__(self, spec: HardwareSpec) -> None:
        port = WritePort(spec)
        code_shape = port.members["code"].shape
        super().__init__(
            {
                "k": In(code_shape),
                "v": In(code_shape),
                "slot": In(range(spec.geometry.window)),
                "write_v": In(1),
                "strobe_k": In(1),
                "strobe_v": In(1),
                "port": Out(port),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.d.comb += [
            self.port.code.eq(Mux(self.write_v, self.v, self.k)),
            self.port.slot.eq(self.slot),
            self.port.strobe_k.eq(self.strobe_k),
            self.port.strobe_v.eq(self.strobe_v),
        ]
        return m
