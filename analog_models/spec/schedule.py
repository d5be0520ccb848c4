"""Schedules: when each phase of a token runs, and what may not happen at the same time.

A schedule is data. `schedule_hazards` knows the hazards of arrays, capacitors, converters and
registers (docs/schedules.md), and a schedule that violates one is refused with the specification.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Annotated, NamedTuple

from pydantic import Field

from common.fields import MAX_CYCLES, AsTuple, Bound, Cycle, Cycles, Group, unit

__all__ = ["PHASES", "Needs", "Schedule", "Timing", "schedule_hazards"]

PHASES = ("write_k", "write_v", "reset_k", "reset_v", "score", "activate", "read_out")

Interval = Annotated[tuple[Cycle, Cycle], AsTuple]


class Timing(Group):
    """What the analog circuits ask of every schedule, in clock cycles.

    `dac_guard`: the DACs hold a code for so long before and after its write strobe. `strobe`,
    `reset`: least length of a write strobe and of a discharge. `settle`: least time from the end of
    the activation pulses to the first counting edge; the converters start in its last cycle.
    `pulse_guard`: a pulse that is still high so long after its phase is an error.
    """

    dac_guard: Cycles = unit("cycles")
    strobe: Cycles = unit("cycles")
    reset: Cycles = unit("cycles")
    settle: Annotated[int, Field(ge=2, le=MAX_CYCLES)] = unit("cycles")
    pulse_guard: Cycles = unit("cycles")


class Schedule(Group):
    """When each phase of a token runs: [start, stop) in cycles from the edge that accepts it.

    A token is accepted every `period` cycles. It waits in cycle `hold` of a period while an earlier
    result has not been taken. `capacitors` per column integrate and convert in turn.
    """

    period: Cycles = unit("cycles")
    hold: Cycle = unit("cycle")
    capacitors: Annotated[int, Field(ge=1, le=2)] = unit("per column")
    write_k: Interval = unit("cycles")
    write_v: Interval = unit("cycles")
    reset_k: Interval = unit("cycles")
    reset_v: Interval = unit("cycles")
    score: Interval = unit("cycles")
    activate: Interval = unit("cycles")
    read_out: Interval = unit("cycles")

    @classmethod
    def sequential(
        cls, *, write: int, reset: int, score: int, activate: int, settle: int, read_out: int
    ) -> "Schedule":
        """One phase after the other, from their lengths in cycles; a token waits in its reset."""
        lengths = (write, write, reset, score, activate, settle, read_out)
        ends = [*accumulate(lengths)]
        k, v, r, s, a, _, o = zip([0, *ends[:-1]], ends, strict=True)
        return cls(
            period=ends[-1],
            hold=r[0],
            capacitors=1,
            write_k=k,
            write_v=v,
            reset_k=r,
            reset_v=r,
            score=s,
            activate=a,
            read_out=o,
        )

    @property
    def phases(self) -> dict[str, range]:
        """Cycles of each phase, counted from the clock edge that accepts the token."""
        return {name: range(*getattr(self, name)) for name in PHASES}

    @property
    def latency(self) -> int:
        """Cycles from the edge that accepts a token to the edge that makes its result valid."""
        return self.read_out[1]

    @property
    def stages(self) -> int:
        """Most tokens in flight."""
        return -(-self.latency // self.period)

    @property
    def repeat(self) -> int:
        """Cycle in which a further query on the same window starts: writes in front are skipped.

        0 with several tokens in flight, which have to keep their distance.
        """
        if self.stages > 1:
            return 0
        return min(p.start for name, p in self.phases.items() if not name.startswith("write"))


class Needs(NamedTuple):
    """Cycles that the longest query pulse, converter pulse and output count take."""

    query: int
    pulse: int
    count: int


def schedule_hazards(name: str, schedule: Schedule, timing: Timing, needs: Needs) -> Iterator[str]:
    """What is wrong with a schedule, a sentence each; nothing if it may run."""
    bounds = [
        *_lengths(schedule, timing, needs),
        *_own_order(schedule, timing),
        *_next_token(schedule, timing),
        *_waiting(schedule),
    ]
    for field, value, low, high, why in bounds:
        if not low <= value <= high:
            yield f"schedules.{name}.{field} = {value}: allowed {low} to {high}, {why}"
    for phase, cycles in _busy(schedule, timing).items():
        if any(cycle % schedule.period == schedule.hold for cycle in cycles):
            yield f"schedules.{name}.hold = {schedule.hold}: a wait would stretch {phase}"


def _lengths(s: Schedule, timing: Timing, needs: Needs) -> list[Bound]:
    write = 2 * timing.dac_guard + timing.strobe
    least = {
        "write_k": (write, "to fit a guarded strobe"),
        "write_v": (write, "to fit a guarded strobe"),
        "reset_k": (timing.reset, "timing.reset"),
        "reset_v": (timing.reset, "timing.reset"),
        "score": (needs.query, "to fit a query pulse"),
        "activate": (needs.pulse, "to fit converter.t_max_ps"),
        "read_out": (max(needs.count, needs.pulse), "to fit a count and converter.t_max_ps"),
    }
    phases = s.phases
    return [
        (f"{phase} of length", phases[phase].stop - phases[phase].start, low, MAX_CYCLES, why)
        for phase, (low, why) in least.items()
    ]


def _after(s: Schedule, phase: str, low: int, why: str) -> Bound:
    """`phase` of a token may not start before cycle `low`."""
    return (f"{phase} start", getattr(s, phase)[0], low, MAX_CYCLES, why)


def _own_order(s: Schedule, timing: Timing) -> list[Bound]:
    """What a token has to do before what."""
    guard = timing.dac_guard
    first, second = sorted((s.write_k, s.write_v))
    second_name = "write_v" if second == s.write_v else "write_k"
    return [
        _after(s, second_name, first[1], "K and V share the DACs"),
        _after(s, "score", s.write_k[1] - guard, "the token's key must be in the K array"),
        _after(s, "score", s.reset_k[1], "the K capacitor must be discharged"),
        _after(s, "score", 1, "the pulse generators need a cycle to start"),
        _after(s, "activate", s.write_v[1] - guard, "the token's value must be in the V array"),
        _after(s, "activate", s.reset_v[1], "the V capacitor must be discharged"),
        _after(s, "activate", s.score[1], "the score must be integrated before it is converted"),
        _after(s, "read_out", s.activate[1] + timing.settle, "timing.settle after the activation"),
    ]


def _next_token(s: Schedule, timing: Timing) -> list[Bound]:
    """What the token behind, accepted `period` cycles later, must leave alone."""
    period, guard = s.period, timing.dac_guard
    turn = s.capacitors * period  # cycles until the same capacitor is used again
    late = timing.pulse_guard
    last_write = max(s.write_k[1], s.write_v[1])
    first_write = "write_k" if s.write_k < s.write_v else "write_v"
    return [
        ("score stop", s.score[1], 1, period, "period: the query's registers hold one token"),
        ("last write stop", last_write, 1, period, "period: the registers hold one token"),
        ("activate start", s.activate[0], 1, period, "period: the mask is of the latest token"),
        _after(s, first_write, last_write - period, "K and V share the DACs"),
        _after(s, "write_k", s.score[1] - period - guard, "the K array is read during score"),
        _after(s, "write_v", s.activate[1] - period - guard, "the V array is read during activate"),
        _after(s, "reset_k", s.score[1] - period, "a capacitor is chosen when its turn begins"),
        _after(s, "reset_k", s.activate[1] - turn, "the K capacitor still holds a score"),
        _after(s, "reset_v", s.activate[1] - period, "a capacitor is chosen when its turn begins"),
        _after(s, "reset_v", s.read_out[1] - turn, "the V capacitor still holds an output"),
        _after(s, "activate", s.activate[1] + late - period, "the K converters are busy"),
        _after(s, "read_out", s.read_out[1] + late + 1 - period, "the V converters are busy"),
    ]


def _waiting(s: Schedule) -> list[Bound]:
    """A token waits in a cycle that every query passes, before it would overwrite a result."""
    wait = s.latency + (s.hold - s.latency) % s.period  # first hold with a result there
    next_count = s.period + s.read_out[0] - 1
    return [
        ("hold", s.hold, s.repeat, s.period - 1, "a cycle that every query passes"),
        ("hold (next one)", wait, s.latency, next_count - 1, "before the next result is counted"),
    ]


def _busy(s: Schedule, timing: Timing) -> dict[str, range]:
    """Cycles in which something runs whose length matters."""
    guard = timing.dac_guard
    return {
        "the strobe of write_k": range(s.write_k[0] + guard, s.write_k[1] - guard),
        "the strobe of write_v": range(s.write_v[0] + guard, s.write_v[1] - guard),
        "score": range(s.score[0] - 1, s.score[1]),
        "activate": range(*s.activate),
        "read_out": range(s.read_out[0] - 1, s.read_out[1]),
    }
