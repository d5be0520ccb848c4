"""Timeline: the cycles in which each control signal of a head is high, from a schedule's phases."""

from typing import NamedTuple

from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from analog_models.spec import HardwareSpec, Schedule

__all__ = ["WRITES", "Timeline", "timeline", "timelines"]

WRITES = frozenset({"strobe_k", "strobe_v"})
"""The control signals that a further query on the same window leaves out."""


class Timeline(NamedTuple):
    """One schedule, as the sequencer runs it.

    Attributes:
        period, hold, repeat, latency: cycles, as in `Schedule`.
        capacitors: per column.
        intervals: cycles in which each control signal is high, from the edge that accepts a token.
    """

    period: int
    hold: int
    repeat: int
    latency: int
    capacitors: int
    intervals: dict[str, range]

    @property
    def signature(self) -> wiring.Signature:
        """The control signals, one bit each."""
        return wiring.Signature({name: Out(1) for name in self.intervals})

    @property
    def stages(self) -> int:
        """Most tokens in flight."""
        return -(-self.latency // self.period)


def timelines(spec: HardwareSpec) -> list[Timeline]:
    """The timeline of every schedule, in the order of the specification."""
    return [timeline(spec, schedule) for schedule in spec.schedules.values()]


def timeline(spec: HardwareSpec, schedule: Schedule) -> Timeline:
    """Control signals of one schedule.

    Beside the phases: the write strobes inside theirs; `run_pulses`, one cycle ahead of `score`
    because the pulses come from registers; `capture`, so early that the mask has a cycle to settle
    before the gates open; `convert`, one cycle ahead of `read_out` because the output pulses pass a
    sampling register, and as long as the largest count; `clear`, its first cycle; `*_end`, the last
    cycles of phases.
    """
    phases = schedule.phases
    guard = spec.timing.dac_guard
    write_k, write_v = phases["write_k"], phases["write_v"]
    score, activate, read_out = phases["score"], phases["activate"], phases["read_out"]
    convert = range(read_out.start - 1, read_out.start - 1 + spec.levels.count_max)
    intervals = {
        "strobe_k": range(write_k.start + guard, write_k.stop - guard),
        "write_v": write_v,
        "strobe_v": range(write_v.start + guard, write_v.stop - guard),
        "reset_k": phases["reset_k"],
        "reset_v": phases["reset_v"],
        "run_pulses": range(score.start - 1, score.start - 1 + spec.levels.q_max),
        "score": score,
        "score_end": _cycle(score.stop - 1),
        "capture": _cycle(activate.start - 2),
        "activate": activate,
        "activate_end": _cycle(activate.stop - 1),
        "clear": _cycle(convert.start),
        "convert": convert,
        "read_out_end": _cycle(read_out.stop - 1),
    }
    return Timeline(
        schedule.period,
        schedule.hold,
        schedule.repeat,
        schedule.latency,
        schedule.capacitors,
        intervals,
    )


def _cycle(cycle: int) -> range:
    return range(cycle, cycle + 1)
