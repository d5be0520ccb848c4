"""Properties of the window pointer."""

from amaranth import Mux, Signal

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.monitor import Monitor
from hdl.formal.property import Property
from hdl.formal.specs import PROVED_AT

__all__ = ["PROPERTIES"]

SPEC = PROVED_AT["window"]


class PointerMonitor(Monitor):
    """Follows the sequences on the inputs of a window pointer.

    `begun`: there is a sequence, of window length `length`. `accepted`: a token was accepted at the
    edge before this cycle, so `slot` is new; `first`: it started a sequence.
    """

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        super().__init__(design, design.window.WindowPointer(spec))
        dut, m, slots = self.dut, self.m, spec.geometry.window
        self.begun, self.accepted, self.first = Signal(), Signal(), Signal()
        self.length = Signal(range(slots + 1), init=slots)
        asked, starts = dut.window_length, dut.advance & (dut.flush | ~self.begun)
        m.d.sync += [self.accepted.eq(dut.advance), self.first.eq(starts)]
        with m.If(starts):
            m.d.sync += self.begun.eq(1)
            m.d.sync += self.length.eq(Mux((asked == 0) | (asked > slots), slots, asked))
        last, filled = self.register("last"), self.register("filled")
        self.lemma(self.begun == (filled != 0), "a sequence fills slots")
        self.lemma(~self.begun | (last == self.length - 1), "the length is kept")
        self.lemma(self.begun | ~self.accepted, "an accepted token begins a sequence")
        self.lemma(self.accepted | ~self.first, "the first token is accepted")
        self.lemma(self.length <= slots, "the length is possible")
        self.lemma(filled <= self.length, "no more slots than the window")
        self.lemma((filled == self.length) | (filled == dut.slot + self.begun), "slots in order")
        self.lemma(dut.slot < self.length, "the slot is inside the window")


def once_per_lap(design: Design, spec: HardwareSpec) -> Monitor:
    """From one visit of a slot to the next there are as many tokens as the window is long."""
    watch = PointerMonitor(design, spec)
    dut, m, length = watch.dut, watch.m, watch.length
    slot = watch.any_of(range(spec.geometry.window), "chosen_slot")
    before = Signal(range(spec.geometry.window + 2))  # tokens since the last visit, or the start
    visited_before = Signal()
    tokens = Mux(watch.accepted, Mux(watch.first, 0, before + 1), before)
    visited = visited_before & ~watch.first
    visits = watch.accepted & (dut.slot == slot)
    m.d.sync += [before.eq(Mux(visits, 0, tokens)), visited_before.eq(visited | visits)]
    watch.always(dut.slot < length, "inside the window")
    with m.If(watch.begun & (slot < length)):
        watch.always(~(visits & visited) | (tokens == length), "not twice in a lap")
        watch.always(~visited | visits | (tokens < length), "not left out of a lap")
        watch.always(visited | visits | (tokens < slot), "visited in the first lap")
        place = Mux(visited, slot + tokens, tokens)
        watch.lemma((dut.slot == place) | (dut.slot + length == place), "in order round the window")
    return watch


def flush_empties(design: Design, spec: HardwareSpec) -> Monitor:
    """After the first token of a sequence its slot alone is valid, before any token none."""
    watch = PointerMonitor(design, spec)
    watch.always(~watch.first | (watch.dut.valid == 1), "the first slot alone is valid")
    watch.always(watch.begun | (watch.dut.valid == 0), "no slot is valid after reset")
    return watch


def valid_is_written(design: Design, spec: HardwareSpec) -> Monitor:
    """A slot is valid if and only if a token of the present sequence was given it."""
    watch = PointerMonitor(design, spec)
    slot = watch.any_of(range(spec.geometry.window), "chosen_slot")
    given_before = Signal()
    given = (given_before & ~watch.first) | (watch.accepted & (watch.dut.slot == slot))
    watch.m.d.sync += given_before.eq(given)
    watch.always(watch.dut.valid.bit_select(slot, 1) == given, "valid if a token was given it")
    return watch


PROPERTIES = [
    Property(
        name="slot-once-per-lap",
        statement="The slot stays inside the window of its sequence, and from one visit of a slot "
        "to the next there are exactly as many tokens as the window is long.",
        component="WindowPointer",
        spec=SPEC,
        watch=once_per_lap,
        depth=2,
        broken=Patch(
            "window", "self.slot == last", "self.slot == slots - 1", "wraps at the last slot built"
        ),
        broken_depth=12,
    ),
    Property(
        name="flush-empties-mask",
        statement="When a sequence starts, its first slot alone is valid; before that none is.",
        component="WindowPointer",
        spec=SPEC,
        watch=flush_empties,
        depth=2,
        broken=Patch("window", "filled.eq(1)", "filled.eq(filled + 1)", "a flush keeps the count"),
        broken_depth=12,
    ),
    Property(
        name="valid-slot-is-written",
        statement="A slot is valid if and only if a token of the present sequence was given it.",
        component="WindowPointer",
        spec=SPEC,
        watch=valid_is_written,
        depth=2,
        broken=Patch("window", "slots - filled", "slots - last - 1", "the whole window is valid"),
        broken_depth=12,
    ),
]
