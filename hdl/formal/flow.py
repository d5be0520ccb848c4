"""Properties of a head on its streams: every token gives one result, in time, that stays."""

from amaranth import Mux, Signal, Value

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.follow import FlowMonitor, FollowMonitor
from hdl.formal.head_monitor import HeadMonitor, head_property
from hdl.formal.property_circuit import Monitor

__all__ = ["PROPERTIES"]


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
    """Count the cycles from a token's acceptance to its result."""
    watch = FollowMonitor(design, spec)
    cycles = Signal.like(watch.place)
    stalled = watch.valid & ~watch.dut.result.ready
    with watch.m.If(watch.begins):
        watch.m.d.sync += cycles.eq(0)
    with watch.m.Elif(watch.under_way):
        watch.m.d.sync += cycles.eq(cycles + ~stalled)
    latency = watch.by_schedule(lambda t: t.latency)
    watch.always(~watch.under_way | (cycles < latency), "a result within the latency")
    watch.lemma(cycles <= watch.place, "no faster than the schedule")
    return watch


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
    head_property(
        name="one-result-per-token",
        statement="There are as many results as tokens: never a result without a token, and none "
        "owed once the head rests, whatever the back-pressure.",
        watch=one_result_per_token,
        broken=Patch(
            "sequencer",
            "(~self.busy | (last & ~self.waiting)) & ~change",
            "(~self.busy | last) & ~change",
            "a token is accepted and lost while others wait",
        ),
        caught_within=90,
    ),
    head_property(
        name="result-stays",
        statement="A result stays valid and unchanged until it is taken.",
        watch=result_stays,
        broken=Patch(
            "control",
            "sequencer.hold.eq(self.result_valid & ~self.result_ready)",
            "sequencer.hold.eq(0)",
            "tokens do not wait for a result to be taken",
        ),
        caught_within=110,
    ),
    head_property(
        name="result-in-time",
        statement="The result of a token is valid after at most `latency` cycles in which no "
        "result waits to be taken.",
        watch=result_in_time,
        broken=Patch(
            "sequencer", "kept.eq(2**timeline.stages - 1)", "kept.eq(1)", "tokens fade away"
        ),
        caught_within=70,
    ),
    head_property(
        name="ready-in-time",
        statement="As long as results are taken and the schedule stays, a token can be accepted "
        "again after at most as many cycles as all stages take, and one for a change.",
        watch=ready_in_time,
        broken=Patch(
            "sequencer",
            "with m.If(~self.busy & change):",
            "with m.If(self.waiting & change):",
            "an idle head never changes its schedule",
        ),
        caught_within=70,
    ),
    head_property(
        name="schedule-changes-when-drained",
        statement="The schedule changes only when the result of every accepted token is out.",
        watch=schedule_when_drained,
        broken=Patch(
            "sequencer",
            "with m.If(~self.busy & change):",
            "with m.If(change):",
            "the schedule changes at once",
        ),
        caught_within=20,
    ),
    head_property(
        name="components-used-as-assumed",
        statement="Counters are cleared with their first sample and then take exactly `count_max` "
        "samples; query codes are never loaded while their pulses run.",
        watch=used_as_assumed,
        broken=Patch(
            "timeline",
            "range(read_out.start - 1, read_out.start - 1 + spec.levels.count_max)",
            "range(read_out.start - 1, read_out.stop)",
            "one sample more than a counter holds",
        ),
        caught_within=70,
    ),
]
