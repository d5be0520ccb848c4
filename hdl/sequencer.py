"""Phase sequencer: one counter for all tokens in flight, a registered output per control signal."""

from collections.abc import Iterator, Sequence

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.timeline import WRITES, Timeline

__all__ = ["PhaseSequencer"]


class PhaseSequencer(wiring.Component):
    """Runs tokens through the control signals of a timeline, a new one each period.

    A counter walks round the period. A token moves up one stage at its end, so that cycle c of a
    token is cycle c % period of stage c // period, and a bit per stage says whether a token is in
    it. The outputs switch analog circuits, so each comes from its own register, free of glitches.

    Parameters
    ----------
    timelines : the schedules that can be chosen at run time, all with the same control signals

    Members
    -------
    choice : In
        Number of the timeline to run; one out of range means 0. A change waits until no token is
        in flight.
    start : In(1)
        Start a token at the next edge; only taken while `ready`.
    repeat : In(1)
        With `start`: a further query on the present window, which writes nothing and starts in
        cycle `repeat` of the timeline.
    ready : Out(1)
        A token can start.
    hold : In(1)
        Wait in cycle `hold` of the timeline.
    done : Out(1)
        Last cycle of a token.
    busy : Out(1)
        A token is in flight.
    waiting : Out(1)
        The tokens in flight wait for `hold`.
    chosen : Out
        Number of the timeline that runs.
    active : Out, one member per control signal
    """

    def __init__(self, timelines: Sequence[Timeline]) -> None:
        self._timelines = list(timelines)
        self._stages = max(t.stages for t in timelines)
        choice = range(max(2, len(timelines)))
        super().__init__(
            {
                "choice": In(choice),
                "start": In(1),
                "repeat": In(1),
                "ready": Out(1),
                "hold": In(1),
                "done": Out(1),
                "busy": Out(1),
                "waiting": Out(1),
                "chosen": Out(choice),
                "active": Out(timelines[0].signature),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        cycle = Signal(range(max(t.period for t in self._timelines)))
        stage = Signal(self._stages)  # bit s: a token is in stage s
        repeating = Signal()  # the token in stage 0 is a further query
        writes = Signal()  # it is not
        hold_here, last, enter = Signal(), Signal(), Signal()
        first = Signal.like(cycle)  # the cycle in which a token starts
        kept = Signal.like(stage)  # stages to which a token moves up
        change = Signal()
        asked = Signal.like(self.chosen)
        m.d.comb += [
            asked.eq(Mux(self.choice < len(self._timelines), self.choice, 0)),
            change.eq(asked != self.chosen),
            self.busy.eq(stage != 0),
            self.waiting.eq(self.busy & hold_here & self.hold),
            self.ready.eq((~self.busy | (last & ~self.waiting)) & ~change),
            enter.eq(self.start & self.ready),
        ]
        with m.If(~self.busy & change):
            m.d.sync += self.chosen.eq(asked)

        next_cycle, next_stage = Signal.like(cycle), Signal.like(stage)
        m.d.comb += [next_cycle.eq(cycle), next_stage.eq(stage)]
        with m.If(~self.busy | (last & ~self.waiting)):
            m.d.comb += [
                next_cycle.eq(Mux(self.repeat, first, 0)),
                next_stage.eq(((stage << 1) & kept) | enter),
            ]
        with m.Elif(~self.waiting):
            m.d.comb += next_cycle.eq(cycle + 1)
        m.d.sync += [cycle.eq(next_cycle), stage.eq(next_stage)]
        m.d.comb += writes.eq(~Mux(enter, self.repeat, repeating))
        m.d.sync += repeating.eq(~writes)

        following = {name: Signal(name=f"{name}_next") for name in self.active.signature.members}
        with m.Switch(self.chosen):
            for number, timeline in reversed([*enumerate(self._timelines)]):
                with m.Default() if number == 0 else m.Case(number):
                    m.d.comb += [
                        last.eq(cycle == timeline.period - 1),
                        hold_here.eq(cycle == timeline.hold),
                        first.eq(timeline.repeat),
                        kept.eq(2**timeline.stages - 1),
                        self.done.eq(_inside(timeline, _last(timeline), cycle, stage)),
                    ]
                    m.d.comb += [
                        following[name].eq(_inside(timeline, interval, next_cycle, next_stage))
                        for name, interval in timeline.intervals.items()
                    ]
        for name, value in following.items():
            enabled = value & writes if name in WRITES else value
            m.d.sync += getattr(self.active, name).eq(enabled)
        return m


def _last(timeline: Timeline) -> range:
    return range(timeline.latency - 1, timeline.latency)


def _inside(timeline: Timeline, interval: range, cycle: Value, stage: Value) -> Value:
    """Whether a token is in a cycle of `interval`."""
    inside: Value | int = 0
    for number, part in _by_stage(interval, timeline.period):
        here = (cycle >= part.start) & (cycle < part.stop)
        inside = inside | (here & stage[number])
    return inside


def _by_stage(interval: range, period: int) -> Iterator[tuple[int, range]]:
    """The parts of an interval by stage, in cycles of the period."""
    start = interval.start
    while start < interval.stop:
        number = start // period
        stop = min(interval.stop, (number + 1) * period)
        yield number, range(start - number * period, stop - number * period)
        start = stop
