"""Head control: what all heads of a core share, from the window pointer to the handshakes."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from analog_models.spec import HardwareSpec
from hdl.sequencer import PhaseSequencer
from hdl.timeline import timelines
from hdl.window import WindowPointer

__all__ = ["ArrayControl", "HeadControl"]


class ArrayControl(wiring.Signature):
    """The pins that tell the analog circuits of a head what to do when.

    Members
    -------
    reset_k, reset_v : Out(1)
        Discharge the capacitor of the K columns that scores next, of the V columns that
        integrates next.
    score, activate, convert : Out(1)
        Integrate on the K columns; convert their charge to phi pulses and integrate on the V
        columns; convert their charge: output pulses start half a clock after this rises.
    score_bank, activate_bank, convert_bank : Out(1)
        The capacitor that each of them works on, where columns have two.
    """

    def __init__(self) -> None:
        names = ("reset_k", "reset_v", "score", "activate", "convert")
        banks = ("score_bank", "activate_bank", "convert_bank")
        super().__init__({name: Out(1) for name in (*names, *banks)})


class HeadControl(wiring.Component):
    """Accepts tokens, walks them through the schedule and says when a result is there.

    A result keeps the counters until it is taken; meanwhile the tokens behind it wait in the
    schedule's `hold`. `result_valid` rises `latency` cycles after the edge that accepts the token.

    Members
    -------
    token_valid, token_ready, flush, query_only : In, Out, In, In (1)
        Handshake of the token and its flags (`token_layout`).
    accept : Out(1)
        The token is taken at the next edge.
    result_valid, result_ready : Out, In (1)
    schedule, window_length : In
        Number of the schedule in the specification, tokens that the window holds; see
        `PhaseSequencer` and `WindowPointer`.
    active : Out
        Control signals, see `timeline`.
    pins : Out(ArrayControl)
    slot, valid : Out
        See `WindowPointer`.
    busy, waiting, chosen : Out
        State of the sequencer, see `PhaseSequencer`.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._timelines = timelines(spec)
        self._spec = spec
        self.sequencer = PhaseSequencer(self._timelines)
        self.window = WindowPointer(spec)
        super().__init__(
            {
                "token_valid": In(1),
                "token_ready": Out(1),
                "flush": In(1),
                "query_only": In(1),
                "accept": Out(1),
                "result_valid": Out(1),
                "result_ready": In(1),
                "schedule": In(self.sequencer.choice.shape()),
                "window_length": In(self.window.window_length.shape()),
                "active": Out(self.sequencer.active.signature),
                "pins": Out(ArrayControl()),
                "slot": Out(self.window.slot.shape()),
                "valid": Out(len(self.window.valid)),
                "busy": Out(1),
                "waiting": Out(1),
                "chosen": Out(self.sequencer.chosen.shape()),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = self.sequencer
        m.submodules.window = window = self.window
        active = sequencer.active
        m.d.comb += [
            self.token_ready.eq(sequencer.ready),
            self.accept.eq(self.token_valid & self.token_ready),
            sequencer.start.eq(self.accept),
            sequencer.repeat.eq(self.query_only),
            sequencer.choice.eq(self.schedule),
            sequencer.hold.eq(self.result_valid & ~self.result_ready),
            window.advance.eq(self.accept & ~self.query_only),
            window.flush.eq(self.flush),
            window.window_length.eq(self.window_length),
            window.capture.eq(active.capture),
            self.slot.eq(window.slot),
            self.valid.eq(window.valid),
            self.busy.eq(sequencer.busy),
            self.waiting.eq(sequencer.waiting),
            self.chosen.eq(sequencer.chosen),
        ]
        for name in active.signature.members:
            m.d.comb += getattr(self.active, name).eq(getattr(active, name))
        for name in ("reset_k", "reset_v", "score", "activate", "convert"):
            m.d.comb += getattr(self.pins, name).eq(getattr(active, name))
        self._take_turns(m)
        with m.If(sequencer.done):
            m.d.sync += self.result_valid.eq(1)
        with m.Elif(self.result_ready):
            m.d.sync += self.result_valid.eq(0)
        return m

    def _take_turns(self, m: Module) -> None:
        """Drive the bank pins: after each phase the other capacitor, if the columns have two."""
        double = Signal()
        with m.Switch(self.sequencer.chosen):
            for number, timeline in reversed([*enumerate(self._timelines)]):
                with m.Default() if number == 0 else m.Case(number):
                    m.d.comb += double.eq(timeline.capacitors == 2)
        active, pins = self.sequencer.active, self.pins
        for bank, end in (
            (pins.score_bank, active.score_end),
            (pins.activate_bank, active.activate_end),
            (pins.convert_bank, active.read_out_end),
        ):
            with m.If(~double):
                m.d.sync += bank.eq(0)
            with m.Elif(end):
                m.d.sync += bank.eq(~bank)
