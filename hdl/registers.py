"""Register bank: what software sees of a core, on AXI4-Lite."""

from typing import NamedTuple

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from analog_models.spec import HardwareSpec
from hdl.axi_lite import DATA_BITS, AxiLite, AxiLitePort

__all__ = ["ADDR_BITS", "ERRORS", "MAX_WINDOW", "REGISTERS", "Register", "RegisterBank"]

ADDR_BITS = 6
VERSION = 1
MAX_WINDOW = 2**16 - 1  # the lower half of the register `heads`


class Register(NamedTuple):
    """A 32-bit register.

    access: `ro` read only, `rw` reads back all bits as they were written, `w1c` writing a one
    clears that bit, `w1s` writing a one sets it, `clear` writing any byte of it clears it.
    """

    name: str
    access: str
    description: str


REGISTERS = (
    Register("identity", "ro", "0x6743 in the upper half, the version of this map in the lower"),
    Register("heads", "ro", "heads of the core in the upper half, window in the lower"),
    Register(
        "schedule",
        "rw",
        "number of the schedule (there is none: the first); takes over when no token is in flight",
    ),
    Register(
        "window_length",
        "rw",
        "tokens that the window holds (0 or too many: all); read when a sequence starts",
    ),
    Register("flush", "w1s", "bit 0: the next token starts a new sequence, which clears the bit"),
    Register(
        "status", "ro", "bit 0 busy, bit 1 waiting for a result to be taken, bits 8.. schedule"
    ),
    Register("errors", "w1c", "bit 0 phi_late, 1 out_late, 2 sign_changed, 3 overrun, 4 withdrawn"),
    Register("error_slot", "ro", "slot of the window at the first error since they were clear"),
    Register("error_heads", "ro", "bit h: head h had the first error"),
    Register("tokens", "clear", "tokens accepted, saturating"),
    Register("queries", "clear", "further queries accepted, saturating"),
    Register("stall_cycles", "clear", "cycles waited for a result to be taken, saturating"),
    Register("saturated_pulses", "clear", "output pulses of full count, saturating"),
)
"""In the order of their addresses, four bytes apart."""

ERRORS = ("phi_late", "out_late", "sign_changed", "overrun", "withdrawn")
"""In the order of their bits in `errors`."""


class RegisterBank(wiring.Component):
    """The registers of a core with `heads` heads.

    Members
    -------
    bus : In(AxiLite)
    schedule, window_length : Out
        What was written; 0 if it has more bits. What a number out of range means is the matter of
        `PhaseSequencer` and `WindowPointer`: of both, 0 means the same.
    flush : Out(1)
        The next token starts a new sequence.
    accept, query_only : In(1)
        A token is accepted, and it is a further query.
    busy, waiting, chosen : In
        State of the control.
    errors, slots, heads : In
        For each of `ERRORS`, in that order: it happens now, at which slot, in which heads.
    saturated : In
        Pulses of full count to be added.
    error : Out(1)
        Some error is flagged.
    """

    def __init__(self, spec: HardwareSpec, heads: int, schedule_bits: int, saturated: int) -> None:
        window = spec.geometry.window
        self._window, self._head_count = window, heads
        slot = Signal(range(window)).shape()
        super().__init__(
            {
                "bus": In(AxiLite(ADDR_BITS)),
                "schedule": Out(schedule_bits),
                "window_length": Out(range(window + 1)),
                "flush": Out(1),
                "accept": In(1),
                "query_only": In(1),
                "busy": In(1),
                "waiting": In(1),
                "chosen": In(schedule_bits),
                "errors": In(len(ERRORS)),
                "slots": In(slot).array(len(ERRORS)),
                "heads": In(heads).array(len(ERRORS)),
                "saturated": In(range(saturated + 1)),
                "error": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.port = self._port = AxiLitePort(ADDR_BITS)
        connect(m, wiring.flipped(self.bus), self._port.bus)
        content: dict[str, Value] = {
            "identity": Const(0x6743 << 16 | VERSION, DATA_BITS),
            "heads": Const(self._head_count << 16 | self._window, DATA_BITS),
            "schedule": self._settable(m, "schedule", self.schedule, 0),
            "window_length": self._settable(m, "window_length", self.window_length, self._window),
            "flush": self._flush(m),
            "status": self.busy | self.waiting << 1 | self.chosen << 8,
            **self._error_log(m),
        }
        for name, step in (
            ("tokens", self.accept & ~self.query_only),
            ("queries", self.accept & self.query_only),
            ("stall_cycles", self.waiting),
            ("saturated_pulses", self.saturated),
        ):
            content[name] = self._counter(m, name, step)
        self._read(m, content)
        return m

    def _writes(self, name: str) -> Value:
        """Whether a byte of the register is written in this cycle."""
        number = [register.name for register in REGISTERS].index(name)
        here = self._port.write_address == number
        return self._port.write & here & self._port.strobe.any()

    def _settable(self, m: Module, name: str, setting: Signal, reset: int) -> Value:
        """Written byte by byte as the strobes say, and kept whole: bytes may come one by one."""
        written = Signal(DATA_BITS, name=f"{name}_written", init=reset)
        with m.If(self._writes(name)):
            m.d.sync += written.eq(self._ones() | (written & ~self._strobed()))
        beyond = written[len(setting) :].any()
        m.d.comb += setting.eq(Mux(beyond, 0, written[: len(setting)]))
        return written

    def _ones(self) -> Value:
        """The ones that are written, in bytes whose strobe is set."""
        return self._port.write_data & self._strobed()

    def _strobed(self) -> Value:
        return Cat(enabled.replicate(8) for enabled in self._port.strobe)

    def _flush(self, m: Module) -> Value:
        with m.If(self._writes("flush") & self._ones()[0]):
            m.d.sync += self.flush.eq(1)
        with m.Elif(self.accept & ~self.query_only):
            m.d.sync += self.flush.eq(0)
        return self.flush

    def _error_log(self, m: Module) -> dict[str, Value]:
        """Sticky flags; where the first of them was, until all are cleared."""
        flags = Signal(len(ERRORS), name="error_flags")
        slot = Signal.like(self.slots[0], name="error_slot")
        heads = Signal(self._head_count, name="error_heads")
        cleared = Signal(len(ERRORS))
        with m.If(self._writes("errors")):
            m.d.comb += cleared.eq(self._ones())
        kept = flags & ~cleared
        m.d.sync += flags.eq(kept | self.errors)
        m.d.comb += self.error.eq(flags != 0)
        for number in reversed(range(len(ERRORS))):
            with m.If((kept == 0) & self.errors[number]):
                m.d.sync += [slot.eq(self.slots[number]), heads.eq(self.heads[number])]
        return {"errors": flags, "error_slot": slot, "error_heads": heads}

    def _counter(self, m: Module, name: str, step: Value) -> Value:
        """Counts on from 0 when it is cleared: what happens in that cycle is not lost."""
        count = Signal(DATA_BITS, name=name)
        total = Signal(DATA_BITS + 1, name=f"{name}_total")
        m.d.comb += total.eq(Mux(self._writes(name), 0, count) + step)
        m.d.sync += count.eq(Mux(total[-1], -1, total[:-1]))
        return count

    def _read(self, m: Module, content: dict[str, Value]) -> None:
        port = self._port
        written = [n for n, register in enumerate(REGISTERS) if register.access != "ro"]
        m.d.comb += port.write_error.eq(~port.write_address.matches(*written))
        with m.Switch(port.read_address):
            for number, register in enumerate(REGISTERS):
                with m.Case(number):
                    m.d.comb += port.read_data.eq(content[register.name])
            with m.Default():
                m.d.comb += [port.read_data.eq(0), port.read_error.eq(1)]
