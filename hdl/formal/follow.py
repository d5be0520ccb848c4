"""Monitors that count the tokens of a head, and that follow one of them."""

from collections.abc import Callable

from amaranth import Mux, Signal, Value

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design
from hdl.formal.head_monitor import HeadMonitor

__all__ = ["FlowMonitor", "FollowMonitor"]


class FlowMonitor(HeadMonitor):
    """Counts tokens: `in_flight` were accepted, and their results are not yet valid."""

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        super().__init__(design, spec)
        most = max(timeline.stages for timeline in self.timelines)
        self.owed = Signal(range(most + 3))  # tokens accepted whose results were not taken
        self.m.d.sync += self.owed.eq(self.owed + self.accept - self.take)
        self.most = most + 1  # one in each stage, and a result
        self.in_flight = self.owed - self.valid
        unfinished = self.tokens_in(lambda t: range(t.latency))
        self.lemma(self.owed == unfinished + self.valid, "a result is owed for each token")


class FollowMonitor(FlowMonitor):
    """Follows any one token, of the solver's choice, from its acceptance to its result.

    `begins`: it is accepted. `under_way`: it was, and its result is not there. `place`: the cycle
    of the schedule in which it is. `has_result`: the result that is valid is its own.
    """

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        super().__init__(design, spec)
        m = self.m
        chosen = Signal()
        followed = Signal()
        self.ports.append(chosen)
        self.place = place = Signal(range(max(t.latency for t in self.timelines) + 2))
        ahead = Signal.like(self.owed)  # results that come before that of the token
        self.begins = self.accept & chosen & ~followed
        self.under_way = followed & ~(self.valid & (ahead == 0))
        self.has_result = followed & self.valid & (ahead == 0)
        with m.If(self.begins):
            start = self.by_schedule(lambda t: t.repeat)
            query_only = self.dut.token.payload.query_only
            m.d.sync += [followed.eq(1), place.eq(Mux(query_only, start, 0))]
            m.d.sync += ahead.eq(self.owed - self.take)
        with m.Elif(self.under_way):
            m.d.sync += place.eq(place + ~self.unit.waiting)
            m.d.sync += ahead.eq(ahead - self.take)
        with m.Elif(self.take):
            m.d.sync += followed.eq(0)
        in_place = self.by_schedule(lambda t: self._in_place(t, ahead))
        self.lemma(~self.under_way | in_place, "the token is in its place")

    def in_cycles(self, interval: Callable) -> Value:
        """The token is in `interval` (of a timeline)."""
        here = self.by_schedule(
            lambda t: (self.place >= interval(t).start) & (self.place < interval(t).stop)
        )
        return self.under_way & here

    def since(self, name: str) -> Value:
        """Cycles from the start of a control signal to where the token is."""
        start = self.by_schedule(lambda t: t.intervals[name].start)
        return (self.place - start)[: len(self.place)]

    def _in_place(self, timeline, ahead: Value) -> Value:
        """A token is in cycle `place`, and as many are in front of it as `ahead` says."""
        found = Value.cast(0)
        for stage in range(timeline.stages):
            older = Value.cast(self.valid)
            for other in range(stage + 1, timeline.stages):
                unfinished = self.cycle < timeline.latency - other * timeline.period
                older = older + (self.stage[other] & unfinished)
            here = self.stage[stage] & (self.place == self.cycle + stage * timeline.period)
            found |= here & (self.place < timeline.latency) & (ahead == older)
        return found
