"""The order of results: codes go through ideal arrays and come out as they went in."""

from collections.abc import Callable

from amaranth import Array, Cat, Mux, Signal, Value

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.follow import FollowMonitor
from hdl.formal.head_monitor import head_property
from hdl.formal.property_circuit import Monitor

__all__ = ["PROPERTIES"]


class IdealColumns:
    """A K and a V column of one cell that holds one: an output pulse is as long as its query.

    Their capacitors hold charge in cycles; the pins say when one is discharged, charged and
    converted, and which. Word line 0, row 0 and output lane 0 take part, the others rest.
    """

    def __init__(self, watch: FollowMonitor) -> None:
        self._m, self._most = watch.m, watch.spec.levels.q_max
        pins, control = watch.dut.pins, watch.control
        self.k = self._charge(
            "k", control.reset_k, pins.q_pulse[0] & control.score, control.score_bank
        )
        self.v = self._charge(
            "v", control.reset_v, pins.row[0] & control.activate, control.activate_bank
        )
        self.phi_age, phi = self._pulse("phi", control.activate, self.k[control.activate_bank])
        self.out_age, out = self._pulse("out", control.convert, self.v[control.convert_bank])
        self._m.d.comb += [pins.phi.eq(phi), pins.out_pulse.eq(out), pins.out_negative.eq(0)]

    def _charge(self, name: str, reset: Value, pulse: Value, bank: Value) -> Array:
        """Charge of two capacitors, of which `bank` is at work."""
        charges = [Signal(range(self._most + 1), name=f"{name}_charge_{b}") for b in range(2)]
        for number, charge in enumerate(charges):
            with self._m.If(bank == number):
                self._m.d.sync += charge.eq(Mux(reset, 0, charge + pulse))
        return Array(charges)

    def _pulse(self, name: str, convert: Value, charge: Value) -> tuple[Signal, Value]:
        """Cycles since the conversion began, and its pulse."""
        age = Signal(range(self._most + 1), name=f"{name}_age")
        self._m.d.sync += age.eq(Mux(convert, age + (age != self._most), 0))
        return age, convert & (age < charge)


def in_order(design: Design, spec: HardwareSpec) -> Monitor:
    """Follow any one token: its result is its query code, after the results of those before it."""
    watch = FollowMonitor(design, spec)
    columns = IdealColumns(watch)
    token = watch.dut.token.payload
    code = Signal.like(token.q[0], name="followed_code")
    seen = Signal()
    begun = Signal()
    with watch.m.If(watch.accept):
        watch.m.d.sync += begun.eq(begun | ~token.query_only)
    with watch.m.If(watch.begins):
        watch.m.d.sync += [code.eq(token.q[0]), seen.eq(begun | ~token.query_only)]
    result = Mux(seen, code, 0)  # a query on an empty window gives 0
    right = watch.dut.result.payload[0] == result
    watch.always(~watch.has_result | right, "the results are in the order of their tokens")
    watch.lemma(begun == (watch.register("filled", "control", "window") != 0), "a slot is filled")
    _query_lemmas(watch, columns, code)
    _activation_lemmas(watch, columns, code, seen, result)
    _count_lemmas(watch, columns, result)
    return watch


def _span(begin: str, end: str, late: tuple[int, int] = (0, 0), to_stop: bool = False) -> Callable:
    """Interval of a timeline from the start of one control signal to that (the stop) of another."""

    def span(timeline) -> range:
        last = timeline.intervals[end]
        stop = last.stop if to_stop else last.start
        return range(timeline.intervals[begin].start + late[0], stop + late[1])

    return span


def _least(a: Value, b: Value) -> Value:
    return Mux(a < b, a, b)


def _query_lemmas(watch: FollowMonitor, columns: IdealColumns, code: Value) -> None:
    """From the registers of the pulse generator to the charge of the K capacitor."""
    generator = "datapath", "pulse_generator"
    bits = [watch.register(f"code_{b}", *generator)[0] for b in range(len(code))]
    first_stage = watch.in_cycles(lambda t: range(t.period))
    for bit, loaded in enumerate(bits):
        watch.lemma(~first_stage | (loaded == code[bit]), "the code is loaded")
    runs = watch.in_cycles(_span("run_pulses", "run_pulses", (0, 1), to_stop=True))
    step = watch.register("step", *generator)
    watch.lemma(~runs | (step == watch.since("run_pulses")), "steps of the pulse")
    charge = columns.k[watch.control.score_bank]
    pulse, elapsed = watch.dut.pins.q_pulse[0], watch.since("score")
    scores = watch.in_cycles(_span("score", "score", to_stop=True))
    watch.lemma(~scores | (pulse == (elapsed < code)), "the pulse lasts its code")
    watch.lemma(~scores | (charge == _least(elapsed, code)), "charged so far")
    empty = watch.in_cycles(_span("reset_k", "score", (1, 0)))
    watch.lemma(~empty | (charge == 0), "discharged")
    scored = columns.k[watch.bank_to_convert("score", "activate")]
    waits = watch.in_cycles(_span("score_end", "activate", (1, 0), to_stop=True))
    watch.lemma(~waits | (scored == code), "the whole score")


def _activation_lemmas(watch, columns: IdealColumns, code, seen, result) -> None:
    """From the charge of the K capacitor to that of the V capacitor."""
    charge, elapsed = columns.v[watch.control.activate_bank], watch.since("activate")
    activates = watch.in_cycles(_span("activate", "activate", to_stop=True))
    first_stage = watch.in_cycles(lambda t: range(t.period))
    filled, captured = watch.window_registers()
    watch.lemma(~first_stage | (seen == (filled != 0)), "there is a token to see")
    masked = watch.in_cycles(_span("capture", "activate", (1, 0), to_stop=True))
    watch.lemma(~masked | (seen == (captured != 0)), "it is seen")
    watch.lemma(~activates | (columns.phi_age == elapsed), "age of the activation pulse")
    watch.lemma(~activates | (charge == _least(elapsed, result)), "charged so far")
    empty = watch.in_cycles(_span("reset_v", "activate", (1, 0)))
    watch.lemma(~empty | (charge == 0), "discharged")
    activated = columns.v[watch.bank_to_convert("activate", "convert")]
    waits = watch.in_cycles(_span("activate_end", "convert", (1, 0), to_stop=True))
    watch.lemma(~waits | (activated == result), "the whole activation")


def _count_lemmas(watch: FollowMonitor, columns: IdealColumns, result: Value) -> None:
    """From the charge of the V capacitor to the sum of the counts."""
    spec, counter = watch.spec, ("datapath", "pulse_counter")
    dim, tiles, most = spec.geometry.head_dim, spec.geometry.subtiles, spec.levels.count_max
    elapsed = watch.since("convert")
    converts = watch.in_cycles(_span("convert", "convert", to_stop=True))
    watch.lemma(~converts | (columns.out_age == elapsed), "age of the output pulse")
    counts = watch.in_cycles(_span("convert", "convert", (1, 1), to_stop=True))
    sampled = watch.register("sampled", *counter)
    watch.lemma(~counts | (sampled[0] == (elapsed <= result)), "the sampled pulse")
    for tile in range(1, tiles):
        watch.lemma(~counts | ~sampled[tile * dim], "the other sub-tiles rest")
    counting = watch.any_in(_span("convert", "convert", (1, 1), to_stop=True))
    watch.lemma(watch.register("counting", *counter) == counting, "a sample is counted")
    width = len(watch.dut.result.payload[0])
    planes = [watch.register(f"total_{bit}", *counter)[0] for bit in range(width)]
    total = Cat(planes)
    counted = _least(elapsed - 1, Value.cast(most))
    partial = _least(counted, result) - 2 * spec.out_max + 2 * tiles * counted
    summed = watch.in_cycles(lambda t: range(t.intervals["convert"].start + 1, t.latency))
    watch.lemma(~summed | (total == partial[:width]), "summed so far")
    watch.lemma(~watch.has_result | (total == result), "the sum is complete")


PROPERTIES = [
    head_property(
        name="results-in-order",
        statement="Through ideal arrays on the pins each result is the query of its own token, in "
        "the order of the tokens: none lost, doubled or exchanged under any back-pressure.",
        watch=in_order,
        assumes="arrays of one cell that pass pulses on unchanged",
        broken=Patch(
            "control",
            "(pins.convert_bank, active.read_out_end)",
            "(pins.convert_bank, active.activate_end)",
            "the conversion takes the other capacitor when the activation ends",
        ),
        caught_within=90,
    ),
]
