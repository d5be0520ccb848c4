"""Properties of a core: each head gets its beat of a token and gives its beat of the result."""

from amaranth import Mux, Signal, Value
from amaranth.lib import data

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.head_monitor import ControlMonitor, head_property
from hdl.formal.property_circuit import Monitor

__all__ = ["HEADS", "PROPERTIES", "CoreMonitor"]

HEADS = 2


class CoreMonitor(ControlMonitor):
    """Watches a core. The solver drives its bus, too."""

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        core = design.core.AttentionCore(spec, HEADS)
        super().__init__(design, core, core._control, spec)


def beats_to_heads(design: Design, spec: HardwareSpec) -> Monitor:
    """Number the beats of the token stream, and compare what each head writes with its own."""
    watch = CoreMonitor(design, spec)
    core, m = watch.dut, watch.m
    taken = core.token.valid & core.token.ready
    beat = Signal(range(HEADS + 1))  # beats taken of the token that is not accepted yet
    m.d.sync += beat.eq(Mux(watch.accept, 0, beat) + taken)
    watch.always(~watch.accept | (beat == HEADS), "a token is complete when it is accepted")
    watch.always(~taken | watch.accept | (beat < HEADS), "no more beats than heads")
    watch.lemma((watch.register("beat") == beat) & (beat <= HEADS), "beats are counted")
    layout = design.streams.token_layout(spec)
    for head in range(HEADS):
        offered = data.View(layout, Signal(layout.size, name=f"offered_{head}"))
        accepted = data.View(layout, Signal(layout.size, name=f"accepted_{head}"))
        with m.If(taken & (beat == head)):
            m.d.sync += offered.eq(core.token.payload)
        with m.If(watch.accept):
            m.d.sync += accepted.eq(offered)
        code, flags = core.pins[head].write.code, watch.flags
        key, value = accepted.k.as_value(), accepted.v.as_value()
        watch.always(~flags["strobe_k"] | (code == key), "the key of its beat")
        watch.always(~flags["strobe_v"] | (code == value), "the value of its beat")
        staged = watch.register(f"staged_{head}")
        watch.lemma((beat <= head) | (staged == offered.as_value()), "a beat is kept")
        for name, held in (("k", key), ("v", value)):
            register = watch.register(f"{name}_register", f"head_{head}")
            watch.lemma(register == held, "and taken with the token")
    return watch


def beats_from_heads(design: Design, spec: HardwareSpec) -> Monitor:
    """Number the beats of the result stream, and compare one with that of the cycle before."""
    watch = CoreMonitor(design, spec)
    result, m = watch.dut.result, watch.m
    beat = Signal(range(HEADS))
    with m.If(result.valid & result.ready):
        m.d.sync += beat.eq(Mux(beat == HEADS - 1, 0, beat + 1))
    watch.always(~result.valid | (result.payload.head == beat), "beats in the order of the heads")
    waited = watch.past(result.valid & ~result.ready, "waited")
    before = watch.past(result.payload, "result")
    same = Value.cast(result.payload) == before
    watch.always(~waited | (result.valid & same), "a beat stays until it is taken")
    others = watch.past(result.valid & result.ready & (beat != HEADS - 1), "others")
    watch.always(~others | result.valid, "all beats of a token follow")
    watch.lemma(watch.register("head") == beat, "the head is counted")
    return watch


PROPERTIES = [
    head_property(
        name="core-beats-reach-their-heads",
        statement="Each head of a core writes the key and the value of its own beat of the token "
        "that was accepted last, which was complete.",
        component="AttentionCore",
        watch=beats_to_heads,
        broken=Patch(
            "core",
            "taken & (beat == number)",
            "taken & (beat >= number)",
            "later beats reach the heads before theirs, too",
        ),
        caught_within=20,
    ),
    head_property(
        name="core-results-of-all-heads",
        statement="A result of the core is one beat of each head, in order; each stays unchanged "
        "until it is taken.",
        component="AttentionCore",
        watch=beats_from_heads,
        broken=Patch(
            "core",
            "control.result_ready.eq(self.result.ready & last)",
            "control.result_ready.eq(self.result.ready)",
            "the first beat that is taken ends the result",
        ),
        caught_within=70,
    ),
]
