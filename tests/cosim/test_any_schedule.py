"""Hazards suffice: whatever schedule a specification accepts, the RTL gives numpy's codes."""

import numpy as np
import pytest

from cosim.run.building import simulate
from tests.cosim.conftest import expected_codes, random_job, small_spec
from tests.schedules import SHORT, random_schedules

SCHEDULES = 16  # as many as a specification holds: one compilation serves them all


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_every_accepted_schedule_gives_the_codes_of_numpy(seed):
    spec = small_spec(**SHORT)
    spec = spec.replace(schedules=random_schedules(spec, SCHEDULES, seed))
    for max_gap, max_stall, stretch in ((0, 0, 10), (0, 25, 10), (13, 13, 4)):
        tokens = SCHEDULES * 10
        job = random_job(spec, tokens, seed, 0.1, max_gap=max_gap, max_stall=max_stall)
        rng = np.random.default_rng(seed)
        job.schedule[:] = np.repeat(rng.permutation(tokens // stretch) % SCHEDULES, stretch)
        job.query_only[:] = rng.random(tokens) < 0.3
        outcome = simulate(spec, job)
        wrong = (outcome.out != expected_codes(spec, job)).any(axis=1)
        assert not wrong.any(), f"schedules {set(job.schedule[wrong])} of {spec.schedules}"
