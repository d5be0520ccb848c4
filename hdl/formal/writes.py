"""Properties of a head: what its tokens write, and what of it they read back."""

from amaranth import Mux, Signal

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.head_monitor import HeadMonitor, head_property
from hdl.formal.property_circuit import Monitor

__all__ = ["PROPERTIES"]


def written_once(design: Design, spec: HardwareSpec) -> Monitor:
    """Count the cycles of both strobes from a token to the next, and compare their codes."""
    watch = HeadMonitor(design, spec)
    m, writes, token = watch.m, watch.writes, watch.dut.token.payload
    begun = Signal()
    with m.If(watch.accept & ~token.query_only):
        m.d.sync += begun.eq(1)
    writing = watch.stage[0] & ~watch.repeating
    watch.lemma(~writing | begun, "a token with a key is there")
    for array, offered in (("k", token.k), ("v", token.v)):
        strobe = getattr(writes, f"strobe_{array}")
        code = Signal(len(writes.code), name=f"code_{array}")
        cycles = Signal(range(spec.timing.strobe + 2), name=f"cycles_{array}")
        with m.If(watch.accept & ~token.query_only):
            m.d.sync += [code.eq(offered), cycles.eq(0)]
        with m.Elif(strobe & (cycles <= spec.timing.strobe)):
            m.d.sync += cycles.eq(cycles + 1)
        watch.always(~strobe | (writes.code == code), "a strobe writes the token's own code")
        complete = cycles == spec.timing.strobe
        watch.always(~(watch.accept & begun) | complete, "it lasts as long as it has to")

        def interval(timeline, name=f"strobe_{array}") -> range:
            return timeline.intervals[name]

        over = watch.any_in(lambda t, of=interval: range(of(t).stop, t.period))
        expected = Mux(~writing | over, spec.timing.strobe, watch.elapsed(interval))
        watch.lemma(~begun | (cycles == expected), "strobed so far")
        register = watch.register(f"{array}_register", "datapath")
        watch.lemma(~writing | (register == code), "the registers hold the token")
    return watch


def query_only_never_writes(design: Design, spec: HardwareSpec) -> Monitor:
    """Remember whether the latest token is a further query."""
    watch = HeadMonitor(design, spec)
    query = Signal()
    with watch.m.If(watch.accept):
        watch.m.d.sync += query.eq(watch.dut.token.payload.query_only)
    strobe = watch.writes.strobe_k | watch.writes.strobe_v
    watch.always(~(query & strobe), "a further query does not write")
    watch.lemma(~watch.stage[0] | (watch.repeating == query), "the sequencer knows")
    return watch


def unwritten_never_activates(design: Design, spec: HardwareSpec) -> Monitor:
    """Remember whether any one slot was written in the sequence, and whether when gates opened."""
    watch = HeadMonitor(design, spec)
    m, writes, token = watch.m, watch.writes, watch.dut.token.payload
    slot = watch.any_of(range(spec.geometry.window), "chosen_slot")
    written = Signal()
    allowed_before = Signal()
    with m.If(watch.accept & token.flush & ~token.query_only):
        m.d.sync += written.eq(0)
    with m.Elif(writes.strobe_v & (writes.slot == slot)):
        m.d.sync += written.eq(1)
    opens = watch.control.activate & ~watch.past(watch.control.activate, "activate")
    allowed = Mux(opens, watch.past(written, "written"), allowed_before)
    m.d.sync += allowed_before.eq(allowed)
    watch.always(~watch.dut.pins.row.bit_select(slot, 1) | allowed, "no gate of an unwritten slot")

    filled, captured = watch.window_registers()
    before_write = watch.any_in(lambda t: range(t.intervals["strobe_v"].start + 1))
    pending = before_write & (watch.unit.slot == slot) & ~watch.repeating
    watch.lemma(~(slot < filled) | pending | written, "a filled slot is written")
    settles = watch.any_in(
        lambda t: range(t.intervals["capture"].stop, t.intervals["activate"].start)
    )
    watch.lemma(~(settles & (slot < captured)) | written, "a captured one, too")
    watch.lemma(~(watch.control.activate & (slot < captured)) | allowed, "when the gates opened")
    return watch


PROPERTIES = [
    head_property(
        name="token-is-written-once",
        statement="Before the next token is accepted, a token's own codes are written to each "
        "array, once, by a strobe of exactly `timing.strobe` cycles.",
        watch=written_once,
        broken=Patch(
            "write_scheduler",
            "Mux(self.write_v, self.v, self.k)",
            "Mux(self.write_v, self.k, self.v)",
            "key and value are swapped",
        ),
        caught_within=30,
    ),
    head_property(
        name="query-only-never-writes",
        statement="After a further query on the same window no strobe comes before the next token.",
        watch=query_only_never_writes,
        broken=Patch(
            "sequencer", "value & writes if", "value if", "further queries write like tokens"
        ),
        caught_within=30,
    ),
    head_property(
        name="unwritten-slot-never-activates",
        statement="The phi pulse of a slot that was not written in the sequence of the token that "
        "is activated never reaches its V row.",
        watch=unwritten_never_activates,
        broken=Patch(
            "window",
            "with m.If(self.capture):",
            "with m.If(1):",
            "the mask follows the next token while gates are open",
        ),
        caught_within=50,
    ),
]
