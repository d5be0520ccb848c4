"""Properties of a head on its streams: every token gives one result, in time, that stays."""

from amaranth import Mux, Signal, Value

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.head_monitor import HeadMonitor
from hdl.formal.monitor import Monitor
from hdl.formal.property import Property
from hdl.formal.specs import FEW_SLOTS

__all__ = ["PROPERTIES"]


class FlowMonitor(HeadMonitor):
    """Counts tokens: `in_flight` were accepted, and their results are not yet valid."""

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        super().__init__(design, spec)
        most = max(timeline.stages for timeline in self.timelines)
        self.owed = Signal(range(most + 3))  # tokens accepted whose results were not taken
        self.m.d.sync += self.owed.eq(self.owed + self.accept - self.take)
        self.most = most + 1  # one in each stage, and a result
        self.valid = self.dut.result.valid
        self.in_flight = self.owed - self.valid
        unfinished = self.tokens_in(lambda t: range(t.latency))
        self.lemma(self.owed == unfinished + self.valid, "a result is owed for each token")


def one_result_per_token(design: Design, spec: HardwareSpec) -> Monitor:
    """Subtract the results taken from the tokens accepted."""
    watch = FlowMonitor(design, spec)
    watch.always(~watch.valid | (watch.owed != 0), "no result without a token")
    watch.always(watch.owed <= watch.most, "no more tokens than stages and a result")
    rests = ~watch.sequencer.busy & ~watch.valid
    watch.always(~rests | (watch.owed == 0), "no token without a result at the end")
    return watch


def result_stays(design: Design, spec: HardwareSpec) -> Monitor:
    """Compare the result with that of the cycle before, if it was not taken."""
    watch = HeadMonitor(design, spec)
    result = watch.dut.result
    waited = watch.past(result.valid & ~result.ready, "waited")
    before = watch.past(result.payload, "result")
    same = Value.cast(result.payload) == before
    watch.always(~waited | (result.valid & same), "valid and unchanged until it is taken")
    return watch


def result_in_time(design: Design, spec: HardwareSpec) -> Monitor:
    """Follow any one token from its acceptance to its result."""
    watch = FlowMonitor(design, spec)
    m = watch.m
    chosen, follow = Signal(), Signal()  # the solver chooses the token
    watch.ports.append(chosen)
    latency = range(max(t.latency for t in watch.timelines) + 2)
    place, cycles = Signal(latency), Signal(latency)
    ahead = Signal.like(watch.owed)  # results that come before that of the token
    has_result = watch.valid & (ahead == 0)
    stalled = watch.valid & ~watch.dut.result.ready
    with m.If(watch.accept & chosen & ~follow):
        begin = watch.by_schedule(lambda t: t.repeat)
        query_only = watch.dut.token.payload.query_only
        m.d.sync += [follow.eq(1), cycles.eq(0), place.eq(Mux(query_only, begin, 0))]
        m.d.sync += ahead.eq(watch.owed - watch.take)
    with m.Elif(follow & ~has_result):
        m.d.sync += place.eq(place + ~watch.dut.control_unit.waiting)
        m.d.sync += cycles.eq(cycles + ~stalled)
        m.d.sync += ahead.eq(ahead - watch.take)
    with m.Elif(watch.take):
        m.d.sync += follow.eq(0)
    end = watch.by_schedule(lambda t: t.latency)
    watch.always(~follow | has_result | (cycles < end), "a result within the latency")
    watch.lemma(cycles <= place, "no faster than the schedule")
    under_way = watch.by_schedule(lambda t: _under_way(watch, t, place, ahead))
    watch.lemma(~follow | has_result | under_way, "the token is in its place")
    return watch


def _under_way(watch: FlowMonitor, timeline, place: Value, ahead: Value) -> Value:
    """A token is in cycle `place` of the timeline, and as many in front of it as `ahead` says."""
    found = Value.cast(0)
    for stage in range(timeline.stages):
        older = sum(
            (
                watch.stage[s] & (watch.cycle < timeline.latency - s * timeline.period)
                for s in range(stage + 1, timeline.stages)
            ),
            watch.valid,
        )
        here = watch.stage[stage] & (place == watch.cycle + stage * timeline.period)
        found |= here & (place < timeline.latency) & (ahead == older)
    return found


def ready_in_time(design: Design, spec: HardwareSpec) -> Monitor:
    """Count the cycles for which no token can be accepted, though nothing asks the head to wait."""
    watch = HeadMonitor(design, spec)
    dut, m = watch.dut, watch.m
    flight = max(t.stages * t.period for t in watch.timelines)
    refused = Signal(range(flight + 4))
    stalled = dut.result.valid & ~dut.result.ready
    asks_anew = dut.schedule != watch.past(dut.schedule, "schedule")
    with m.If(dut.token.ready | asks_anew):
        m.d.sync += refused.eq(0)
    with m.Elif(~stalled & (refused < flight + 3)):
        m.d.sync += refused.eq(refused + 1)
    watch.always(dut.token.ready | asks_anew | (refused <= flight), "ready again")
    place = Value.cast(0)  # of the youngest token
    for stage in reversed(range(len(watch.stage))):
        begin = watch.by_schedule(lambda t, stage=stage: stage * t.period)
        place = Mux(watch.stage[stage], begin + watch.cycle, place)
    drained = dut.token.ready | asks_anew | (refused <= flight)
    watch.lemma(Mux(watch.stage == 0, drained, refused <= place), "since the youngest token")
    return watch


def schedule_when_drained(design: Design, spec: HardwareSpec) -> Monitor:
    """Compare the schedule with that of the cycle before."""
    watch = FlowMonitor(design, spec)
    chosen = watch.sequencer.chosen
    same = chosen == watch.past(chosen, "chosen")
    in_flight = watch.past(watch.in_flight, "in_flight")
    watch.always(same | (in_flight == 0), "no other schedule while tokens are in flight")
    return watch


def used_as_assumed(design: Design, spec: HardwareSpec) -> Monitor:
    """Watch the inputs of pulse generators and counters."""
    watch = HeadMonitor(design, spec)
    m, flags = watch.m, watch.flags
    sample, most = flags["convert"], spec.levels.count_max
    sampled = watch.past(sample, "sample")
    samples = Signal(range(most + 2))
    m.d.sync += samples.eq(Mux(sample, Mux(sampled, samples, 0) + (samples <= most), 0))
    watch.always(flags["clear"] == (sample & ~sampled), "cleared with the first sample")
    watch.always(~sample | (samples < most), "not more samples than count")
    watch.always(~sampled | sample | (samples == most), "nor fewer")
    watch.always(~(watch.accept & flags["run_pulses"]), "no load while pulses run")

    def convert(timeline) -> range:
        return timeline.intervals["convert"]

    watch.lemma(~sample | (samples == watch.elapsed(convert)), "counted from the first sample")
    return watch


PROPERTIES = [
    Property(
        name="one-result-per-token",
        statement="There are as many results as tokens: never a result without a token, and none "
        "owed once the head rests, whatever the back-pressure.",
        component="AttentionHead",
        spec=FEW_SLOTS,
        watch=one_result_per_token,
        depth=2,
        broken=Patch(
            "sequencer",
            "(~self.busy | (last & ~self.waiting)) & ~change",
            "(~self.busy | last) & ~change",
            "a token is accepted and lost while others wait",
        ),
        broken_depth=90,
    ),
    Property(
        name="result-stays",
        statement="A result stays valid and unchanged until it is taken.",
        component="AttentionHead",
        spec=FEW_SLOTS,
        watch=result_stays,
        depth=2,
        broken=Patch(
            "control",
            "sequencer.hold.eq(self.result_valid & ~self.result_ready)",
            "sequencer.hold.eq(0)",
            "tokens do not wait for a result to be taken",
        ),
        broken_depth=110,
    ),
    Property(
        name="result-in-time",
        statement="The result of a token is valid after at most `latency` cycles in which no "
        "result waits to be taken.",
        component="AttentionHead",
        spec=FEW_SLOTS,
        watch=result_in_time,
        depth=2,
        broken=Patch(
            "sequencer", "kept.eq(2**timeline.stages - 1)", "kept.eq(1)", "tokens fade away"
        ),
        broken_depth=70,
    ),
    Property(
        name="ready-in-time",
        statement="As long as results are taken and the schedule stays, a token can be accepted "
        "again after at most as many cycles as all stages take, and one for a change.",
        component="AttentionHead",
        spec=FEW_SLOTS,
        watch=ready_in_time,
        depth=2,
        broken=Patch(
            "sequencer",
            "with m.If(~self.busy & change):",
            "with m.If(self.waiting & change):",
            "an idle head never changes its schedule",
        ),
        broken_depth=70,
    ),
    Property(
        name="schedule-changes-when-drained",
        statement="The schedule changes only when the result of every accepted token is out.",
        component="AttentionHead",
        spec=FEW_SLOTS,
        watch=schedule_when_drained,
        depth=2,
        broken=Patch(
            "sequencer",
            "with m.If(~self.busy & change):",
            "with m.If(change):",
            "the schedule changes at once",
        ),
        broken_depth=20,
    ),
    Property(
        name="components-used-as-assumed",
        statement="Counters are cleared with their first sample and then take exactly `count_max` "
        "samples; query codes are never loaded while their pulses run.",
        component="AttentionHead",
        spec=FEW_SLOTS,
        watch=used_as_assumed,
        depth=2,
        broken=Patch(
            "timeline",
            "range(read_out.start - 1, read_out.start - 1 + spec.levels.count_max)",
            "range(read_out.start - 1, read_out.stop)",
            "one sample more than a counter holds",
        ),
        broken_depth=70,
    ),
]
