"""Random schedules that break no hazard, for a specification of short pulses."""

import random

from analog_models.spec import HardwareSpec
from analog_models.spec.schedule import Needs, Schedule, schedule_hazards

SHORT = {
    "levels__q": 4,
    "levels__kv": 4,
    "levels__out_magnitude_bits": 2,
    "converter__t_max_ps": 3000,
    "timing__strobe": 1,
    "timing__reset": 1,
}
"""Changes to a specification that make its pulses 3 cycles long, so that schedules are short."""


def random_schedules(spec: HardwareSpec, count: int, seed: int) -> dict[str, Schedule]:
    """`count` schedules that `spec` accepts, most of them with several tokens in flight."""
    rng = random.Random(seed)
    needs = Needs(spec.levels.q_max, spec.pulse_cycles, spec.levels.count_max)
    found: dict[str, Schedule] = {}
    while len(found) < count:
        schedule = _draw(rng)
        if next(schedule_hazards("drawn", schedule, spec.timing, needs), None):
            continue
        if schedule.stages > 1 or rng.random() < 0.2:
            found[f"random{len(found)}"] = schedule
    return found


def _draw(rng: random.Random) -> Schedule:
    def interval(first: int, last: int, length: int) -> tuple[int, int]:
        start = rng.randint(first, max(first, last))
        return start, start + length + rng.choice([0, 0, 0, 1, 2])

    score = interval(1, 9, 3)
    activate = interval(score[1], score[1] + 2, 3)
    period = rng.randint(4, 20)
    return Schedule(
        period=period,
        hold=rng.randrange(period),
        capacitors=rng.choice([1, 2, 2]),
        write_k=interval(0, score[0] - 2, 3),
        write_v=interval(0, activate[0], 3),
        reset_k=interval(0, score[0] - 1, 1),
        reset_v=interval(0, activate[0] - 1, 1),
        score=score,
        activate=activate,
        read_out=interval(activate[1] + 2, activate[1] + 5, 3),
    )
