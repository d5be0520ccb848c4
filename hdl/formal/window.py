"""Properties of the window pointer."""

from amaranth import Mux, Signal

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.property import Property
from hdl.formal.property_circuit import Monitor
from hdl.formal.specs import FEW_SLOTS

__all__ = ["PROPERTIES"]


class PointerMonitor(Monitor):
    """Follows the sequences on the inputs of a window pointer.

    `begun`: there is a sequence, of window length `length`. `accepted`: a token was accepted at the
    edge before this cycle, so `slot` is new; `first`: it started a sequence.
    """

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        super().__init__(design, design.window.WindowPointer(spec))
        dut, m, slots = self.dut, self.m, spec.geometry.window
        self.begun = Signal()
        self.accepted = Signal()
        self.first = Signal()
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
    """A mask that is captured before the second token of a sequence holds the first slot alone."""
    watch = PointerMonitor(design, spec)
    m, dut = watch.m, watch.dut
    alone_before = Signal()
    captured = Signal()
    captured_alone = Signal()
    alone = Mux(watch.accepted, watch.first, alone_before)
    m.d.sync += alone_before.eq(alone)
    with m.If(dut.capture):
        m.d.sync += [captured.eq(watch.begun), captured_alone.eq(alone)]
    watch.always(captured | (dut.valid == 0), "no slot before the first token")
    watch.always(~captured_alone | (dut.valid == 1), "the first slot alone after a flush")
    watch.lemma(~alone | (watch.register("filled") == 1), "one slot is filled")
    watch.lemma(captured | (watch.register("captured") == 0), "none is captured")
    watch.lemma(~captured_alone | (watch.register("captured") == 1), "one is captured")
    return watch


def valid_is_given(design: Design, spec: HardwareSpec) -> Monitor:
    """A slot is in a captured mask if and only if a token of the sequence was given it by then."""
    watch = PointerMonitor(design, spec)
    m, dut = watch.m, watch.dut
    slot = watch.any_of(range(spec.geometry.window), "chosen_slot")
    given_before = Signal()
    captured = Signal()
    given = (given_before & ~watch.first) | (watch.accepted & (dut.slot == slot))
    m.d.sync += given_before.eq(given)
    with m.If(dut.capture):
        m.d.sync += captured.eq(given)
    watch.always(dut.valid.bit_select(slot, 1) == captured, "valid if a token was given it")
    watch.lemma(given == (slot < watch.register("filled")), "slots fill in order")
    watch.lemma(captured == (slot < watch.register("captured")), "and are captured so")
    return watch


PROPERTIES = [
    Property(
        name="slot-once-per-lap",
        statement="The slot stays inside the window of its sequence, and from one visit of a slot "
        "to the next there are exactly as many tokens as the window is long.",
        component="WindowPointer",
        spec=FEW_SLOTS,
        watch=once_per_lap,
        depth=2,
        broken=Patch(
            "window", "self.slot == last", "self.slot == slots - 1", "wraps at the last slot built"
        ),
        caught_within=12,
    ),
    Property(
        name="flush-empties-mask",
        statement="A mask captured after the first token of a sequence holds its slot alone; one "
        "captured before any token is empty.",
        component="WindowPointer",
        spec=FEW_SLOTS,
        watch=flush_empties,
        depth=2,
        broken=Patch("window", "filled.eq(1)", "filled.eq(filled + 1)", "a flush keeps the count"),
        caught_within=12,
    ),
    Property(
        name="valid-slot-was-given",
        statement="A slot is in the captured mask if and only if a token of the sequence had been "
        "given it.",
        component="WindowPointer",
        spec=FEW_SLOTS,
        watch=valid_is_given,
        depth=2,
        broken=Patch(
            "window", "captured.eq(filled)", "captured.eq(last + 1)", "the whole window is valid"
        ),
        caught_within=12,
    ),
]
