"""Properties of two copies of a core: which outputs an input may reach within its cycle."""

from collections.abc import Iterator

from amaranth import Cat, Signal, Value
from amaranth.hdl import Fragment
from amaranth.lib.wiring import Flow

from analog_models.spec import HardwareSpec
from hdl.formal.core import HEADS
from hdl.formal.design import Design, Patch
from hdl.formal.head_monitor import head_property
from hdl.formal.property_circuit import Monitor

__all__ = ["PROPERTIES"]


class TwinMonitor(Monitor):
    """Watches two copies of a core from their reset on, both driven by the solver.

    Attributes
    ----------
    comparable : Value
        The inputs of both were equal in every cycle before this one. Where outputs differ then,
        they follow an input of this cycle.
    """

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        core, twin = (design.core.AttentionCore(spec, HEADS) for _ in range(2))
        super().__init__(design, core)
        other = Fragment.get(twin, None)
        self.m.submodules.twin = other
        both = zip(core.signature.flatten(core), twin.signature.flatten(twin), strict=True)
        self._pairs: dict[Flow, dict[str, tuple[Value, Value]]] = {Flow.In: {}, Flow.Out: {}}
        for (path, member, one), (_, _, two) in both:
            name = "__".join(map(str, path))
            self._pairs[member.flow][name] = Value.cast(one), Value.cast(two)
            self.ports.append(Value.cast(two))
        differed = Signal()
        self.m.d.sync += differed.eq(differed | ~self.same_inputs(""))
        self.comparable = ~differed
        for one, two in zip(_registers(self._fragment), _registers(other), strict=True):
            self.lemma(differed | (one == two), "equal inputs leave equal registers")

    def outputs(self) -> dict[str, Value]:
        """Whether each output is the same in both copies, by name."""
        return {name: one == two for name, (one, two) in self._pairs[Flow.Out].items()}

    def same_inputs(self, ending: str) -> Value:
        """The inputs whose names have this ending are the same in both copies."""
        inputs = self._pairs[Flow.In].items()
        return Cat(one == two for name, (one, two) in inputs if name.endswith(ending)).all()


def _registers(fragment: Fragment) -> Iterator[Signal]:
    """All registers of a component, in the same order for every copy of it."""
    for domain, statements in fragment.statements.items():
        if domain != "comb":
            yield from statements._lhs_signals()
    for inside, *_ in fragment.subfragments:
        yield from _registers(inside)


def bus_is_registered(design: Design, spec: HardwareSpec) -> Monitor:
    """Compare the outputs of the bus where any inputs differ for the first time."""
    watch = TwinMonitor(design, spec)
    for name, same in watch.outputs().items():
        if name.startswith("bus"):
            watch.always(~watch.comparable | same, "no output of the bus follows an input")
    return watch


def others_are_registered(design: Design, spec: HardwareSpec) -> Monitor:
    """The same of all other outputs; rows may follow phi."""
    watch = TwinMonitor(design, spec)
    for name, same in watch.outputs().items():
        if name.endswith("__row"):
            phi = watch.same_inputs(name.removesuffix("row") + "phi")
            watch.always(~watch.comparable | same | ~phi, "a row follows its own pulses alone")
        elif not name.startswith("bus"):
            watch.always(~watch.comparable | same, "no output follows an input")
    return watch


PROPERTIES = [
    head_property(
        name="core-bus-is-registered",
        statement="No output of the bus follows an input of the core within a cycle: neither a "
        "ready its valid, nor anything else.",
        component="AttentionCore",
        watch=bus_is_registered,
        broken=Patch(
            "axi_lite",
            "bus.arready.eq(~bus.rvalid)",
            "bus.arready.eq(~bus.rvalid | bus.rready)",
            "a read is taken in the cycle in which the response to the last one is",
        ),
        caught_within=10,
    ),
    head_property(
        name="core-streams-and-pins-are-registered",
        statement="No output of the streams or to the arrays follows an input of the core within a "
        "cycle, but the rows, each of which follows the phi pulses of its own head alone.",
        component="AttentionCore",
        watch=others_are_registered,
        broken=Patch(
            "core",
            "self.token.ready.eq(~full)",
            "self.token.ready.eq(~full & self.token.valid)",
            "the token stream is ready where a token is valid",
        ),
        caught_within=10,
    ),
]
