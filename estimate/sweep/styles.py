"""Schedules for other levels: the shipped ones as rules of their phases' lengths.

More levels take longer pulses, so that a schedule of the specification no longer fits. Each style
is the order of phases of one of them; what follows a style keeps to it at other lengths.
"""

from dataclasses import dataclass, replace
from typing import Any

from analog_models.spec import HardwareSpec, Schedule

__all__ = ["fitted"]

QUIET = 1  # cycle of `pipelined` in which no pulse runs and a token may wait


@dataclass(frozen=True)
class _Lengths:
    """Cycles of the phases; gap: from the activation's end to the read-out."""

    write: int
    reset: int
    score: int
    activate: int
    gap: int
    read_out: int

    @classmethod
    def of(cls, schedule: Schedule) -> "_Lengths":
        length = {name: len(cycles) for name, cycles in schedule.phases.items()}
        return cls(
            write=length["write_k"],
            reset=length["reset_k"],
            score=length["score"],
            activate=length["activate"],
            gap=schedule.read_out[0] - schedule.activate[1],
            read_out=length["read_out"],
        )


def fitted(spec: HardwareSpec, name: str, q_max: int, pulse: int, count: int) -> dict[str, Any]:
    """Schedule `name` of `spec` as a tree for other needs, not validated.

    q_max, pulse, count: cycles of the longest query pulse, converter pulse and output count. Phases
    keep what they have to spare. One of no known style stays as it is.
    """
    schedule, levels = spec.schedules[name], spec.levels
    old, tree = _Lengths.of(schedule), schedule.model_dump()
    old_read = max(spec.pulse_cycles, levels.count_max)
    new = replace(
        old,
        score=old.score + q_max - levels.q_max,
        activate=old.activate + pulse - spec.pulse_cycles,
        read_out=old.read_out + max(pulse, count) - old_read,
    )
    for style in (_sequential, _overlapped, _pipelined):
        if new != old and style(old) == tree:
            return style(new)
    return tree


def _phase(start: int, length: int) -> tuple[int, int]:
    return start, start + length


def _sequential(n: _Lengths) -> dict[str, Any]:
    """One phase after the other; a token waits in its reset."""
    reset = _phase(2 * n.write, n.reset)
    score = _phase(reset[1], n.score)
    activate = _phase(score[1], n.activate)
    read_out = _phase(activate[1] + n.gap, n.read_out)
    return {
        "period": read_out[1],
        "hold": reset[0],
        "capacitors": 1,
        "write_k": _phase(0, n.write),
        "write_v": _phase(n.write, n.write),
        "reset_k": reset,
        "reset_v": reset,
        "score": score,
        "activate": activate,
        "read_out": read_out,
    }


def _overlapped(n: _Lengths) -> dict[str, Any]:
    """Resets behind the write of the key, the write of the value behind the score."""
    reset, write_v = _phase(0, n.reset), _phase(n.write, n.write)
    score = _phase(max(n.write, n.reset), n.score)
    activate = _phase(max(score[1], write_v[1]), n.activate)
    read_out = _phase(activate[1] + n.gap, n.read_out)
    return {
        "period": read_out[1],
        "hold": 0,
        "capacitors": 1,
        "write_k": _phase(0, n.write),
        "write_v": write_v,
        "reset_k": reset,
        "reset_v": reset,
        "score": score,
        "activate": activate,
        "read_out": read_out,
    }


def _pipelined(n: _Lengths) -> dict[str, Any]:
    """A token a period: scored in its first, activated in its second, read out in its third.

    The last cycle of a period is quiet: read-out may end just before it, and starts just behind.
    """
    period = max(n.write + max(n.score, n.activate), 2 * n.write, n.read_out + 1) + QUIET
    return {
        "period": period,
        "hold": period - QUIET,
        "capacitors": 2,
        "write_k": _phase(0, n.write),
        "write_v": _phase(period - QUIET - n.write, n.write),
        "reset_k": _phase(0, n.reset),
        "reset_v": _phase(period - n.reset, n.reset),
        "score": _phase(n.write, n.score),
        "activate": _phase(period, n.activate),
        "read_out": _phase(2 * period + 1, n.read_out),
    }
