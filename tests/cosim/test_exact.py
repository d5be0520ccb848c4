"""Pulses at the exact picosecond on one sub-tile: the counting rule, edge by edge, in the RTL."""

import numpy as np
import pytest

from analog_models.spec import HardwareSpec
from cosim.reference.comparison import compare
from cosim.run.building import simulate
from tests.cosim.conftest import expected_codes, random_job, small_spec


@pytest.fixture(scope="module")
def subtile(full) -> HardwareSpec:
    """One sub-tile of the real head."""
    return full.replace(
        name="sub-tile", geometry__subtiles=1, converter__s_sat=20.0, converter__a_sat=8.0
    )


def test_one_subtile_with_exact_pulses_equals_numpy(subtile):
    job = random_job(subtile, 96, 4, exact=True, max_gap=20, max_stall=80)
    outcome = simulate(subtile, job)
    wrong, first = compare(subtile, job, ["0"] * 96, expected_codes(subtile, job), outcome)
    assert not wrong, first
    assert len(np.unique(outcome.out)) > 20


def test_replayed_words_and_exact_pulses_are_the_same(subtile):
    replayed = simulate(subtile, random_job(subtile, 30, 5))
    exact = simulate(subtile, random_job(subtile, 30, 5, exact=True))
    for name in ("out", "counts", "rows", "accepted", "finished"):
        assert np.array_equal(getattr(replayed, name), getattr(exact, name)), name


@pytest.mark.parametrize(("stretch", "most_off_ps"), [(1.0, 0), (1.002, 1), (0.998, 1)])
def test_output_widths_on_and_around_every_counting_edge(stretch, most_off_ps):
    """Query codes 0 ... 15 become output pulses of 0, 500, 1000 ... 7500 ps, or just off them.

    One cell of constant transfer makes the width proportional to the code. The odd codes end half a
    clock off an edge of the grid, which is where the counting edges are.
    """
    spec = small_spec(
        geometry__head_dim=1,
        geometry__subtile=2,
        geometry__subtiles=1,
        cell__transfer=((1.0,),),
        leakage__decay_per_token=0.0,
        converter__s_sat=1.0,
        converter__a_sat=2.0 / stretch,
    )
    job = random_job(spec, 16, 0, exact=True)
    job.q[:, 0], job.flush[:] = range(16), 1
    outcome = simulate(spec, job)
    widths_ps = np.round(np.arange(16) * 500 * stretch).astype(int)
    assert outcome.rows[:, 0].tolist() == [1000 * code for code in range(16)]
    assert outcome.out[:, 0].tolist() == ((widths_ps + 500) // 1000).tolist()
    assert np.abs(widths_ps - 500 * np.arange(16))[1] == most_off_ps
