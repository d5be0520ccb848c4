"""Head dimension 128 as two arrays of 64 rows, and grouped queries, at real sizes."""

import numpy as np
import pytest

from analog_models.spec import HardwareSpec
from cosim.reference.comparison import compare
from cosim.run.building import simulate
from tests.cosim.conftest import expected_codes, random_job


def check(spec: HardwareSpec, tokens: int, group: int) -> None:
    """Groups of queries on random codes in every schedule: every output code equals numpy's."""
    for number in range(len(spec.schedules)):
        job = random_job(spec, tokens, number, max_gap=9, max_stall=9)
        job.schedule[:] = number
        job.query_only[:] = np.arange(tokens) % group > 0
        outcome = simulate(spec, job)
        expected = expected_codes(spec, job)
        wrong, first = compare(spec, job, ["0"] * tokens, expected, outcome)
        assert not wrong, first
        assert np.unique(expected).size > 8


def test_head_dimension_128_with_grouped_queries(full):
    spec = full.replace(
        name="long", geometry__head_dim=128, geometry__subtiles=2, converter__s_sat=40.0
    )
    assert spec.geometry.arrays == 2
    check(spec, 12, group=3)


@pytest.mark.slow
@pytest.mark.parametrize(("head_dim", "group"), [(64, 4), (128, 2)])
def test_whole_window_with_grouped_queries(full, head_dim, group):
    spec = full.replace(name=f"d{head_dim}", geometry__head_dim=head_dim)
    check(spec, 80, group)
