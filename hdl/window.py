"""Window pointer: which slot the next token takes, and which slots hold a token."""

from amaranth import Cat, Module, Mux, Signal
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
        asked = self.window_length
        with m.If(self.capture):
            m.d.sync += captured.eq(filled)
        self._derive_mask(m, captured)
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

    def _derive_mask(self, m: Module, count: Signal) -> None:
        """Set the first `count` slots of `valid`, decoding rows and columns of a square."""
        split = (self._slots - 1).bit_length() // 2
        column, row = count[:split], count[split:]
        columns = Signal(2**split)
        m.d.comb += columns.eq(Cat(column > i for i in range(2**split)))
        rows = range(-(-self._slots // 2**split))
        full, begun = Signal(len(rows)), Signal(len(rows))
        m.d.comb += [full.eq(Cat(row > i for i in rows)), begun.eq(Cat(row == i for i in rows))]
        masks = [
            full[i].replicate(2**split) | (columns & begun[i].replicate(2**split)) for i in rows
        ]
        m.d.comb += self.valid.eq(Cat(masks))
