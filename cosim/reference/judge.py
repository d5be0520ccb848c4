"""All that an outcome has to be: codes, pulses, counts and cycles, against the golden head."""

from typing import NamedTuple

import numpy as np

from analog_models.spec import HardwareSpec, Schedule
from cosim.reference.batch import Batch, golden_batch
from cosim.run.job import Job, Outcome

__all__ = ["fault"]

SWITCH_CYCLES = 2  # from an empty sequencer to the first token of another schedule
MOST = 4  # results before its own that a token may have to wait for


def fault(spec: HardwareSpec, job: Job, outcome: Outcome, golden: Batch | None = None) -> str:
    """What is wrong with an outcome, its first token named; empty if nothing is.

    golden: what `golden_batch` makes of the job, if that is known already.
    """
    golden = golden or golden_batch(spec, job)
    compared = {
        "output code": (outcome.out, golden.out),
        "count": (outcome.counts, golden.counts),
        "query": (outcome.queries, job.q),
        "activation pulse": (outcome.rows, golden.rows),
    }
    for name, seen in (("accepted", outcome.accepted), ("finished", outcome.finished)):
        if len(seen) != job.tokens:
            return f"{len(seen)} tokens {name}: expected {job.tokens}"
    for name, (got, expected) in compared.items():
        if got.shape != expected.shape:
            return f"{len(got)} tokens have a {name}: expected {len(expected)}"
    wrong = {name: _differ(*pair) for name, pair in compared.items()}
    accepted, finished = _expected_cycles(spec, job, outcome)
    wrong["cycle of acceptance"] = outcome.accepted != accepted
    wrong["cycle of the result"] = outcome.finished != finished
    first = sorted((int(np.argmax(bad)), name) for name, bad in wrong.items() if bad.any())
    return "token {}: wrong {}".format(*first[0]) if first else ""


def _differ(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Tokens in which two arrays [token, ...] differ."""
    return (got != expected).reshape(len(got), -1).any(1)


def _expected_cycles(
    spec: HardwareSpec, job: Job, outcome: Outcome
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles in which each token had to be accepted and finished, after what its predecessors did.

    The first token may be accepted whenever the reset is over.
    """
    schedules = [*spec.schedules.values()]
    chosen = [schedules[n if n < len(schedules) else 0] for n in job.schedule]
    gaps, accepted = job.gaps.tolist(), outcome.accepted.tolist()
    pending = [*zip(outcome.finished.tolist(), _taken(job, outcome), strict=True)]
    expected = [accepted[0]], []
    before: Run | None = None
    for token, schedule in enumerate(chosen):
        start = schedule.repeat * int(job.query_only[token])
        if before:
            offered = accepted[token - 1] + gaps[token] + 1
            expected[0].append(before.next_start(offered, schedule != before.schedule))
        before = Run(schedule, accepted[token], start, pending[max(0, token - MOST) : token + 1])
        expected[1].append(before.at(schedule.latency))
    return np.array(expected[0]), np.array(expected[1])


def _taken(job: Job, outcome: Outcome) -> list[int]:
    """The cycle up to which each result held its counters; without a stall not even one."""
    waits = np.where(job.stalls > 0, job.stalls, 0)
    return (outcome.finished + waits).tolist()


class Run(NamedTuple):
    """A token that is accepted in cycle `accepted` and begins at `start` of its schedule.

    pending: cycles from which and to which earlier results kept the counters.
    """

    schedule: Schedule
    accepted: int
    start: int
    pending: list[tuple[int, int]]

    def at(self, cycle: int) -> int:
        """When the token gets to a cycle of its schedule, with its waiting before that."""
        now, place = self.accepted, self.start
        hold, period = self.schedule.hold, self.schedule.period
        for stop in range(hold, cycle, period):
            if stop >= self.start:
                now, place = now + stop - place, stop
                now = max([now, *(end for begin, end in self.pending if begin <= now)])
        return now + cycle - place

    def next_start(self, offered: int, change: bool) -> int:
        """When the next token is accepted, which is offered in a given cycle."""
        stages, period = self.schedule.stages, self.schedule.period
        ends = [self.at(stage * period) for stage in range(1, stages + 1)]
        if change:
            return max(ends[-1] + SWITCH_CYCLES, offered + SWITCH_CYCLES - 1)
        return next((end for end in ends if end >= offered), offered)
