"""Properties of the components that make, gate and count pulses."""

from amaranth import Cat, Const, Mux, Signal, signed

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.property import Property
from hdl.formal.property_circuit import Monitor
from hdl.formal.specs import FEW_SLOTS

__all__ = ["PROPERTIES"]


def pulse_lasts_its_code(design: Design, spec: HardwareSpec) -> Monitor:
    """Count the cycles since `run` rose, and compare with the code that was loaded last."""
    watch = Monitor(design, design.pulse_generator.PulseGenerator(spec))
    dut, m = watch.dut, watch.m
    code = Signal.like(dut.code, name="loaded")
    with m.If(dut.load):
        m.d.sync += code.eq(dut.code)
    since = Signal(range(spec.levels.q_max + 2))  # cycles of `run` before this one
    m.d.sync += since.eq(Mux(dut.run, since + (since <= spec.levels.q_max), 0))
    watch.given(~(dut.load & dut.run))
    width = spec.levels.q_max.bit_length()
    for lane in range(spec.geometry.head_dim):
        expected = (since != 0) & (since <= code.word_select(lane, width))
        watch.always(dut.pulse[lane] == expected, "high for as many cycles as its code")
    step = watch.register("step")
    watch.lemma(step == Mux(since > spec.levels.q_max, spec.levels.q_max, since), "steps")
    planes = [watch.register(f"code_{bit}") for bit in range(width)]
    watch.lemma(Cat(Cat(p[i] for p in planes) for i in range(len(dut.pulse))) == code, "codes")
    return watch


def count_is_exact(design: Design, spec: HardwareSpec) -> Monitor:
    """Sum the samples of one dimension in a number wide enough for any sum, and compare."""
    watch = Monitor(design, design.pulse_counter.PulseCounter(spec))
    dut, m = watch.dut, watch.m
    tiles, dim, most = spec.geometry.subtiles, spec.geometry.head_dim, spec.levels.count_max
    taken = Signal(range(most + 1))  # samples since the sums were cleared
    ready = Signal()
    counting = Signal()
    pulse, negative = watch.past(dut.pulse, "pulse"), watch.past(dut.negative, "negative")
    m.d.sync += counting.eq(dut.sample)
    with m.If(dut.clear):
        m.d.sync += [taken.eq(dut.sample), ready.eq(1)]
    with m.Elif(dut.sample):
        m.d.sync += taken.eq(taken + 1)
    watch.given(~dut.sample | dut.clear | (ready & (taken < most)))
    watch.given(~(dut.clear & counting))
    watch.given(~counting | (dut.negative == negative))
    counted = taken - counting
    width = len(dut.total) // dim
    for d in range(dim):
        lanes = range(d, tiles * dim, dim)
        exact = Signal(signed(width + 2), name=f"exact_{d}")
        digits = sum((Mux(pulse[i], Mux(negative[i], -1, 1), 0) for i in lanes), Const(0))
        with m.If(dut.clear):
            m.d.sync += exact.eq(0)
        with m.Elif(counting):
            m.d.sync += exact.eq(exact + digits)
        total = dut.total.word_select(d, width).as_signed()
        complete = dut.show & ready & (counted == most)
        watch.always(~complete | (total == exact), "an exact sum")
        in_range = (total <= spec.out_max) & (total >= -spec.out_max)
        watch.always(~complete | in_range, "in range")
        planes = Cat(watch.register(f"total_{bit}")[d] for bit in range(width))
        offset = exact - 2 * spec.out_max + 2 * tiles * counted
        watch.lemma(~ready | (planes == offset[:width]), "the offsets")
        bound = tiles * counted
        watch.lemma(~ready | ((exact <= bound) & (exact >= -bound)), "as many as counted")
        watch.lemma(ready | (planes == 0), "nothing counted")
    watch.lemma(~counting | (watch.register("sampled") == pulse), "as sampled")
    watch.lemma(watch.register("counting") == counting, "a sample is counted in the next cycle")
    watch.lemma((taken >= counting) & (taken <= most) & (ready | (taken == 0)), "samples")
    return watch


def gate_follows(design: Design, spec: HardwareSpec) -> Monitor:
    """Compare each row with its phase, validity and pulse."""
    watch = Monitor(design, design.activation.ActivationGate(spec))
    dut = watch.dut
    for row in range(spec.geometry.window):
        passes = dut.activate & dut.valid[row] & dut.phi[row]
        watch.always(dut.row[row] == passes, "only valid pulses, only in the phase")
    return watch


def faults_are_flagged(design: Design, spec: HardwareSpec) -> Monitor:
    """Look at any one pulse: after its phase and the guard, and at its sign while it is counted."""
    watch = Monitor(design, design.monitor.PulseMonitor(spec))
    dut, active = watch.dut, watch.dut.active
    for name, pulses, end, flag in (
        ("phi", dut.phi, active.activate_end, dut.phi_late),
        ("out", dut.out_pulse, active.read_out_end, dut.out_late),
    ):
        due = end
        for cycle in range(spec.timing.pulse_guard):
            due = watch.past(due, f"{name}_due_{cycle}")
        pulse = pulses.bit_select(watch.any_of(range(len(pulses)), f"chosen_{name}"), 1)
        watch.always(~watch.past(due & pulse, f"{name}_late") | flag, "a late pulse is flagged")
        late = watch.past(due & pulses.any(), f"some_{name}_late")
        watch.always(~flag | late, "no flag without a late pulse")
    lane = watch.any_of(range(len(dut.out_pulse)), "chosen_lane")
    pulse, sign = dut.out_pulse.bit_select(lane, 1), dut.out_negative.bit_select(lane, 1)
    first = Signal()
    with watch.m.If(active.clear):
        watch.m.d.sync += first.eq(sign)
    changed = watch.past(active.convert & ~active.clear & pulse & (sign != first), "changed")
    watch.always(~changed | dut.sign_changed, "another sign is flagged")
    watch.lemma(watch.register("sign").bit_select(lane, 1) == first, "the first sign is kept")
    return watch


PROPERTIES = [
    Property(
        name="pulse-lasts-its-code",
        statement="A query pulse rises one cycle after `run` and lasts exactly its code, once.",
        component="PulseGenerator",
        spec=FEW_SLOTS,
        watch=pulse_lasts_its_code,
        depth=2,
        assumes="no load while `run`",
        broken=Patch("pulse_generator", "self.pulse & longer", "longer", "a pulse may rise again"),
        caught_within=20,
    ),
    Property(
        name="count-saturates",
        statement="A sum is exactly that of its signed samples, at most `count_max` a sub-tile "
        "however long the pulses are, and never wraps.",
        component="PulseCounter",
        spec=FEW_SLOTS,
        watch=count_is_exact,
        depth=2,
        assumes="at most `count_max` samples after a clear (see samples-are-limited), "
        "a sign that stays while its pulse is counted",
        broken=Patch(
            "pulse_counter",
            "(-2 * self._out_max >> bit & 1)",
            "(2 * self._out_max >> bit & 1)",
            "sums start at the other end, and wrap",
        ),
        caught_within=20,
    ),
    Property(
        name="gate-passes-valid-only",
        statement="The phi pulse of a slot reaches its V row if and only if the slot is valid and "
        "the phase is `activate`.",
        component="ActivationGate",
        spec=FEW_SLOTS,
        watch=gate_follows,
        depth=1,
        broken=Patch(
            "activation",
            "Mux(self.activate, self.valid, 0)",
            "self.activate.replicate(len(self.valid))",
            "no mask",
        ),
        caught_within=1,
    ),
    Property(
        name="pulse-faults-are-flagged",
        statement="A pulse that is high `timing.pulse_guard` after its phase is flagged, and so is "
        "one whose sign is another than at its first counting edge; no pulse is called late "
        "without one.",
        component="PulseMonitor",
        spec=FEW_SLOTS,
        watch=faults_are_flagged,
        depth=2,
        broken=Patch(
            "monitor",
            "with m.If(active.clear):",
            "with m.If(active.convert):",
            "the sign is compared with the last one",
        ),
        caught_within=10,
    ),
]
