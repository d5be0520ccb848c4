"""The virtual model of a head's timing: when each token is accepted and finished, without RTL.

It knows what decides about time: a counter walks round the period of the schedule, a token enters
when a round ends, a round waits in its cycle `hold` while a result has not been taken, and a
schedule changes when nothing is in flight (docs/schedules.md). So it goes from round to round,
and over a stretch of rounds that follow one another without a gap at once.
"""

from dataclasses import dataclass

import numpy as np

from analog_models.spec import HardwareSpec
from analog_models.spec.schedule import Schedule
from analog_models.workload import Workload

__all__ = ["Timing", "predict"]

SHORTEST_LEAP = 8  # tokens; below, vectors cost more than they save
EMPTY = -1  # in place of a token, a round without one


@dataclass(frozen=True)
class Timing:
    """Clock edges, the first at which a token may be offered being 0.

    accepted, finished, taken: [token] the edge that accepts it, the one that makes its result
    valid, the one that takes the result.
    """

    accepted: np.ndarray
    finished: np.ndarray
    taken: np.ndarray

    @property
    def cycles(self) -> int:
        """From the first offer to the last result."""
        return int(self.taken[-1])


def predict(spec: HardwareSpec, workload: Workload, leap: bool = True) -> Timing:
    """Run `workload` through a head of `spec`; leap: take long stretches at once (same result)."""
    return _Run(spec, workload, leap).timing()


@dataclass(frozen=True)
class _Facts:
    """What a schedule is to the counter.

    done: cycle of its last round in which a token finishes. first: cycle in which a further query
    starts. A wait comes in the round in which a result becomes valid if `same`, else in the next.
    """

    period: int
    hold: int
    stages: int
    done: int
    first: int
    same: bool

    @classmethod
    def of(cls, schedule: Schedule) -> "_Facts":
        done = schedule.latency - 1 - (schedule.stages - 1) * schedule.period
        period, hold, stages = schedule.period, schedule.hold, schedule.stages
        return cls(period, hold, stages, done, schedule.repeat, done < hold)


class _Run:
    """State of the counter: `start` is the edge before its cycle 0 of the present round.

    flight: the tokens of the latest rounds, youngest first, one for each stage.
    """

    def __init__(self, spec: HardwareSpec, workload: Workload, leap: bool) -> None:
        self.facts = [_Facts.of(schedule) for schedule in spec.schedules.values()]
        self.numbers = workload.numbers(spec)
        first = np.array([facts.first for facts in self.facts])[self.numbers]
        self.skipped = np.where(workload.query_only, first, 0)
        self.gap, self.stall = workload.gap, workload.stall
        self.stalls = self.stall.tolist()
        self.accepted, self.finished = (np.zeros(workload.tokens, np.int64) for _ in range(2))
        self.stops = self._stops() if leap else range(workload.tokens)
        self.start, self.idle_from, self.taken = 0, 0, 0
        self.flight: list[int] = []

    def timing(self) -> Timing:
        tokens = len(self.gap)
        numbers, gaps, skipped = (x.tolist() for x in (self.numbers, self.gap, self.skipped))
        chosen, latest, token = 0, 0, 0
        while token < tokens:
            offered, number = latest + gaps[token], numbers[token]
            facts = self.facts[chosen]
            change = number != chosen
            latest = self._enter(facts, offered, change)
            chosen, facts = number, self.facts[number]
            self.accepted[token] = latest
            self.start = latest - skipped[token]
            self.flight = [token, *self.flight[1:]]  # in place of the empty round
            token += 1
            if token < tokens and self.stops[token] - token >= SHORTEST_LEAP:
                token, latest = self._try_leap(facts, token, latest)
        while self.flight:
            self._end_round(self.facts[chosen])
        return Timing(self.accepted, self.finished, self.finished + 1 + self.stall)

    def _enter(self, facts: _Facts, offered: int, change: bool) -> int:
        """The edge that accepts a token offered at edge `offered`."""
        while self.flight:
            end = self._end_round(facts)
            if offered < end and not change:
                return end
        return max(self.idle_from, offered) + 1 + change

    def _end_round(self, facts: _Facts) -> int:
        """Run the present round to the edge that ends it; what is in flight moves up a stage."""
        finishing = self.flight[-1] if len(self.flight) == facts.stages else EMPTY
        done, hold = self.start + 1 + facts.done, self.start + 1 + facts.hold
        if facts.same and finishing >= 0:
            self._finish(finishing, done)
        wait = max(0, self.taken - hold)
        if not facts.same and finishing >= 0:
            self._finish(finishing, done + wait)
        self.start += facts.period + wait
        self.idle_from = self.start
        self.flight = [EMPTY, *self.flight][: facts.stages]
        if max(self.flight) == EMPTY:
            self.flight = []
        return self.start

    def _finish(self, token: int, edge: int) -> None:
        self.finished[token] = edge
        self.taken = edge + 1 + self.stalls[token]

    # ---- stretches of rounds without a gap

    def _stops(self) -> list[int]:
        """For each token, the next one (itself, too) that ends a stretch, or the end.

        It may miss the end of the round before, or asks for another schedule.
        """
        period = np.array([facts.period for facts in self.facts])[self.numbers]
        round_least = period[:-1] - self.skipped[:-1]
        missed = self.gap[1:] >= round_least
        breaks = np.flatnonzero(missed | (np.diff(self.numbers) != 0)) + 1
        tokens = np.arange(len(self.gap))
        return np.append(breaks, len(tokens))[np.searchsorted(breaks, tokens)].tolist()

    def _try_leap(self, facts: _Facts, token: int, latest: int) -> tuple[int, int]:
        """Accept the tokens from `token` up to the next break, if the stages are all taken."""
        stop = self.stops[token]
        full = len(self.flight) == facts.stages and min(self.flight) != EMPTY
        if not full or stop - token < facts.stages:
            return token, latest
        rounds = np.arange(token, stop)  # a round for each token; the one before is under way
        wait = self._waits(facts, np.arange(token - 1, stop - 1))
        wait[0] = self._wait_now(facts)
        begin = latest - self.skipped[token - 1]  # of the round under way
        skipped = self.skipped[token:stop]
        starts = begin + np.cumsum(facts.period + wait - skipped)
        self.accepted[token:stop] = starts + skipped
        self._finish_stretch(facts, np.concatenate([[begin], starts]), wait, token, stop)
        self.start, latest = int(starts[-1]), int(self.accepted[stop - 1])
        self.flight = rounds[: -facts.stages - 1 : -1].tolist()
        return stop, latest

    def _waits(self, facts: _Facts, rounds: np.ndarray) -> np.ndarray:
        """Cycles that each round waits for a result, where rounds follow without a gap."""
        lag = facts.stages - 1 + (not facts.same)
        slack = facts.hold - facts.done - 1
        if not facts.same:
            slack = slack + facts.period - self.skipped[rounds]
        return np.maximum(0, self.stall[np.maximum(rounds - lag, 0)] - slack)

    def _wait_now(self, facts: _Facts) -> int:
        """Cycles that the round under way will wait."""
        taken = self.taken
        if facts.same:
            taken = self.start + 2 + facts.done + self.stalls[self.flight[-1]]
        return max(0, taken - (self.start + 1 + facts.hold))

    def _finish_stretch(
        self, facts: _Facts, starts: np.ndarray, wait: np.ndarray, token: int, stop: int
    ) -> None:
        """Results of the rounds from token - 1 to stop - 2, which have ended."""
        edges = starts[:-1] + 1 + facts.done + (0 if facts.same else wait)
        lag = facts.stages - 1
        self.finished[token - 1 - lag : stop - 1 - lag] = edges
        self.taken = int(edges[-1]) + 1 + self.stalls[stop - 2 - lag]
