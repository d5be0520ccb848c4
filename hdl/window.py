"""Window pointer: which slot the next token takes, and which slots hold a token."""

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from analog_models.spec import HardwareSpec

__all__ = ["WindowPointer"]


class WindowPointer(wiring.Component):
    """Walks round the slots of the window and derives the validity mask.

    Slots fill in order from 0, so the mask is a function of how many are filled. That number is
    captured before a token's activation: the next token may be accepted, and take the oldest slot,
    while the gates are open.

    Members
    -------
    advance : In(1)
        A token is accepted: at the next edge `slot` is its slot.
    flush : In(1)
        With `advance`: the token starts a new sequence in an empty window.
    window_length : In
        Tokens that the window holds, 1 to `spec.geometry.window`; read when a sequence starts
        (the first token after reset, or a flush). 0 and values above the window mean the window.
    capture : In(1)
        Take the mask of the latest token at the next edge.
    slot : Out
        Slot of the latest token.
    valid : Out(window)
        The slots that held a token of the sequence at the last capture.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._slots = slots = spec.geometry.window
        super().__init__(
            {
                "advance": In(1),
                "flush": In(1),
                "window_length": In(range(slots + 1)),
                "capture": In(1),
                "slot": Out(range(slots)),
                "valid": Out(slots),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        slots = self._slots
        filled = Signal(range(slots + 1))
        captured = Signal(range(slots + 1))
        last = Signal(range(slots))
        room = Signal(range(slots + 1))
        asked = self.window_length
        with m.If(self.capture):
            m.d.sync += captured.eq(filled)
        m.d.comb += room.eq(slots - captured)
        m.d.comb += self.valid.eq(Const(2**slots - 1, slots) >> room)
        with m.If(self.advance):
            with m.If(self.flush | (filled == 0)):
                in_range = (asked != 0) & (asked <= slots)
                m.d.sync += last.eq(Mux(in_range, asked - 1, slots - 1))
                m.d.sync += [self.slot.eq(0), filled.eq(1)]
            with m.Else():
                m.d.sync += self.slot.eq(Mux(self.slot == last, 0, self.slot + 1))
                with m.If(filled <= last):
                    m.d.sync += filled.eq(filled + 1)
        return m
