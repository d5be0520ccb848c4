"""Specifications near a given one, as sweeps and a search over designs need them.

More levels take longer pulses, so that a schedule of the specification no longer fits. Each style
is the order of phases of one of the shipped schedules, as a rule of their lengths; what follows a
style keeps to it at other lengths.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError

from analog_models.spec import HardwareSpec, Levels, Schedule
from common.errors import SpecError
from common.fields import sentences

__all__ = ["STYLES", "PhaseLengths", "changed", "fitted", "with_levels"]

LEAST_CHARGE_BITS = 8
QUIET = 1  # cycle of `pipelined` in which no pulse runs and a token may wait


def changed(spec: HardwareSpec, **values: Any) -> HardwareSpec:
    """`spec.replace`, on the finest grid of charges, at most that of `spec`, that stays exact.

    The grid belongs to the arithmetic, not to the hardware. Raises `SpecError` as `replace` does.
    """
    for bits in range(spec.grid.charge_bits, LEAST_CHARGE_BITS, -1):
        try:
            return spec.replace(grid__charge_bits=bits, **values)
        except SpecError as error:
            if "grid.charge_bits" not in str(error):
                raise
    return spec.replace(grid__charge_bits=LEAST_CHARGE_BITS, **values)


def with_levels(
    spec: HardwareSpec,
    q: int | None = None,
    kv: int | None = None,
    out_bits: int | None = None,
    schedule: str | None = None,
    **values: Any,
) -> HardwareSpec:
    """`spec` with other levels at the same clock, and one schedule whose phases they fit.

    q, kv: levels; out_bits: bits of a sub-tile's count beside its sign; None: those of `spec`. The
    longest converter pulse grows with the largest count. schedule: the one of `spec` that is
    fitted; None: one phase after the other. values: more that changes. Raises `SpecError`.
    """
    old, timing = spec.levels, spec.timing
    levels = _levels(old, q=q, kv=kv, out_magnitude_bits=out_bits)
    t_max_ps = spec.converter.t_max_ps * levels.count_max // old.count_max
    pulse = -(-t_max_ps // spec.clock.t_clk_ps)
    if schedule is None:
        lengths = PhaseLengths(
            write=2 * timing.dac_guard + timing.strobe,
            reset=timing.reset,
            score=levels.q_max,
            activate=pulse,
            gap=spec.schedule.read_out[0] - spec.schedule.activate[1],
            read_out=max(pulse, levels.count_max),
        )
        schedule, tree = "sequential", _sequential(lengths)
    else:
        tree = fitted(spec, schedule, levels.q_max, pulse, levels.count_max)
    return changed(
        spec,
        levels__q=levels.q,
        levels__kv=levels.kv,
        levels__out_magnitude_bits=levels.out_magnitude_bits,
        converter__t_max_ps=t_max_ps,
        schedules={schedule: tree},
        **values,
    )


def _levels(old: Levels, **given: int | None) -> Levels:
    """`old` with what is given, checked before anything is computed with it."""
    new = {name: value for name, value in given.items() if value is not None}
    try:
        return Levels(**old.model_dump() | new)
    except ValidationError as error:
        raise SpecError(sentences(error, "levels")) from error


@dataclass(frozen=True)
class PhaseLengths:
    """Cycles of the phases; gap: from the activation's end to the read-out."""

    write: int
    reset: int
    score: int
    activate: int
    gap: int
    read_out: int

    @classmethod
    def of(cls, schedule: Schedule) -> "PhaseLengths":
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
    old, tree = PhaseLengths.of(schedule), schedule.model_dump()
    old_read = max(spec.pulse_cycles, levels.count_max)
    new = replace(
        old,
        score=old.score + q_max - levels.q_max,
        activate=old.activate + pulse - spec.pulse_cycles,
        read_out=old.read_out + max(pulse, count) - old_read,
    )
    for style in STYLES:
        if new != old and style(old) == tree:
            return style(new)
    return tree


def _phase(start: int, length: int) -> tuple[int, int]:
    return start, start + length


def _sequential(n: PhaseLengths) -> dict[str, Any]:
    """One phase after the other; a token waits in its reset."""
    lengths = asdict(n)
    return Schedule.sequential(settle=lengths.pop("gap"), **lengths).model_dump()


def _overlapped(n: PhaseLengths) -> dict[str, Any]:
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


def _pipelined(n: PhaseLengths) -> dict[str, Any]:
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


STYLES = (_sequential, _overlapped, _pipelined)
