"""The control plane of one attention head: a control and a datapath."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from analog_models.spec import HardwareSpec, load_preset
from hdl.control import ArrayControl, HeadControl
from hdl.datapath import ArrayPins, HeadDatapath
from hdl.streams import result_layout, token_layout

__all__ = ["AttentionHead"]


class AttentionHead(wiring.Component):
    """Takes a token's codes, drives the arrays through its phases and counts what comes back.

    `token.ready` follows `schedule` and `result.ready` within a cycle: a register in between would
    cost a cycle for each token. The head is no AXI component; `AttentionCore` is.

    Members
    -------
    token : In(stream of `token_layout`)
    result : Out(stream of `result_layout`)
    schedule : In
        Number of the schedule in the specification; a change waits until no token is in flight.
    window_length : In
        Tokens that the window holds; see `WindowPointer`.
    control : Out(ArrayControl)
    pins : Out(ArrayPins)
    """

    def __init__(self, spec: HardwareSpec | None = None) -> None:
        self.spec = spec = spec or load_preset()
        self.control_unit = HeadControl(spec)
        super().__init__(
            {
                "token": In(stream.Signature(token_layout(spec))),
                "result": Out(stream.Signature(result_layout(spec))),
                "schedule": In(self.control_unit.schedule.shape()),
                "window_length": In(self.control_unit.window_length.shape()),
                "control": Out(ArrayControl()),
                "pins": Out(ArrayPins(spec)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.control = control = self.control_unit
        m.submodules.datapath = datapath = HeadDatapath(self.spec)
        m.d.comb += [
            control.token_valid.eq(self.token.valid),
            self.token.ready.eq(control.token_ready),
            control.flush.eq(self.token.payload.flush),
            control.query_only.eq(self.token.payload.query_only),
            control.schedule.eq(self.schedule),
            control.window_length.eq(self.window_length),
            datapath.token.eq(self.token.payload),
            datapath.accept.eq(control.accept),
            datapath.slot.eq(control.slot),
            datapath.valid.eq(control.valid),
            datapath.show.eq(control.result_valid),
            self.result.valid.eq(control.result_valid),
            control.result_ready.eq(self.result.ready),
            self.result.payload.eq(datapath.result),
        ]
        connect(m, control.active, datapath.active)
        connect(m, wiring.flipped(self.control), control.pins)
        connect(m, wiring.flipped(self.pins), datapath.pins)
        return m
