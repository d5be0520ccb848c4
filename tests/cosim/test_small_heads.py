"""numpy = RTL on small heads: any codes, flushes, window lengths and back-pressure."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analog_models.head import GoldenHead
from analog_models.spec import Schedule
from common.errors import CodeError, ToolError
from cosim.reference.comparison import compare
from cosim.reference.rates import filled_slots, signal_rates
from cosim.run import building as runner
from cosim.run.building import simulate
from tests.cosim.conftest import expected_codes, random_job, small_spec

SPECS = {
    "small": small_spec(),
    "odd sizes": small_spec(geometry__head_dim=5, geometry__subtile=3, geometry__subtiles=5),
    "one dimension": small_spec(geometry__head_dim=1, geometry__subtile=2, geometry__subtiles=1),
    "longer phases": small_spec(
        schedules={
            "longer": Schedule.sequential(
                write=6, reset=7, score=18, activate=21, settle=2, read_out=19
            )
        }
    ),
    "fewer levels": small_spec(levels__q=4, levels__kv=4, levels__out_magnitude_bits=2),
    "a long head": small_spec(geometry__head_dim=16, geometry__array_rows=8),
}


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    name=st.sampled_from(sorted(SPECS)),
    schedule=st.integers(0, 2),
    seed=st.integers(0, 2**31),
    flushes=st.sampled_from([0.0, 0.05, 0.3]),
    max_gap=st.sampled_from([0, 1, 90]),
    max_stall=st.sampled_from([0, 1, 2, 150]),
)
def test_the_rtl_equals_numpy_under_random_back_pressure(
    name, schedule, seed, flushes, max_gap, max_stall
):
    spec = SPECS[name]
    job = random_job(spec, 60, seed, flushes, max_gap=max_gap, max_stall=max_stall)
    number = schedule % len(spec.schedules)
    job.schedule[:] = number
    chosen = [*spec.schedules.values()][number]
    outcome = simulate(spec, job)
    heads = [name] * job.tokens
    wrong, first = compare(spec, job, heads, expected_codes(spec, job), outcome)
    assert not wrong, first
    assert np.array_equal(outcome.queries, job.q)
    if not max_gap and not max_stall:
        assert set(outcome.cycles) == {chosen.latency}
        assert set(np.diff(outcome.accepted)) == {chosen.period}
    else:
        assert outcome.cycles.min() >= chosen.latency


@pytest.mark.parametrize("seed", range(3))
def test_schedules_may_change_and_queries_may_share_a_window_at_any_token(seed):
    spec = SPECS["small"]
    job = random_job(spec, 150, seed, 0.1, max_gap=30, max_stall=30)
    rng = np.random.default_rng(seed)
    job.schedule[:] = np.repeat(rng.integers(0, 3, 30), 5)
    job.query_only[:] = rng.random(150) < 0.4
    outcome = simulate(spec, job)
    wrong, first = compare(spec, job, ["0"] * 150, expected_codes(spec, job), outcome)
    assert not wrong, first


@pytest.mark.parametrize(("schedule", "group"), [(0, 4), (1, 3), (2, 2)])
def test_grouped_queries_share_one_write(schedule, group):
    spec = SPECS["small"]
    job = random_job(spec, 12 * group, schedule)
    job.schedule[:] = schedule
    job.query_only[:] = np.arange(12 * group) % group > 0
    outcome = simulate(spec, job)
    wrong, first = compare(spec, job, ["0"] * len(job.q), expected_codes(spec, job), outcome)
    assert not wrong, first
    chosen = [*spec.schedules.values()][schedule]
    head = GoldenHead(spec)
    traces = [head.step(job.q[i], job.k[i], job.v[i]) for i in range(0, 12 * group, group)]
    assert np.array_equal(outcome.out[::group], [trace.out for trace in traces])
    per_group = chosen.period + (group - 1) * (chosen.period - chosen.repeat)
    assert set(np.diff(outcome.accepted[::group])) == {per_group}


def test_a_head_that_is_lively_enough_to_test_with():
    spec = SPECS["small"]
    job = random_job(spec, 100, 1, max_gap=3)
    outcome = simulate(spec, job)
    rates = signal_rates(spec, job, outcome)
    assert 0.05 < rates["phi"][0] < 0.9 and rates["phi"][1] > 0.01
    assert rates["output"][0] < 0.5 and rates["output"][1] > 0.01
    assert len(np.unique(outcome.out)) > 20


def test_a_mismatch_is_located():
    spec = SPECS["small"]
    job = random_job(spec, 40, 2, flushes=0.1)
    outcome = simulate(spec, job)
    expected = expected_codes(spec, job)
    heads = ["a"] * 25 + ["b"] * 15
    expected[30, 5] += 1
    wrong, first = compare(spec, job, heads, expected, outcome)
    got = outcome.out[30, 5]
    assert wrong == 1
    assert str(first) == (
        f"first mismatch: token 5, head b, sub-tile none (sum), dimension 5: "
        f"got {got}, expected {got + 1}"
    )
    outcome.out[20, 3] += 1
    outcome.counts[20, 1, 3] += 1  # as if the converter of sub-tile 1 had sent one too many
    wrong, first = compare(spec, job, heads, expected, outcome)
    assert wrong == 2 and first is not None
    assert (first.token, first.head, first.subtile, first.dimension) == (20, "a", 1, 3)


def test_slots_fill_up_to_the_length_of_their_sequence():
    spec = SPECS["small"]
    job = random_job(spec, 6, 0)
    job.flush[:] = [0, 0, 0, 1, 0, 0]
    job.window_length[:] = [2, 9, 9, 24, 1, 1]
    assert filled_slots(spec, job).tolist() == [1, 2, 2, 1, 2, 3]


def test_bad_codes_never_reach_the_simulator():
    spec = SPECS["small"]
    job = random_job(spec, 3, 0)
    job.k[2, 1] = 8
    with pytest.raises(CodeError, match=r"k\[2, 1\] = 8: allowed whole numbers 0 to 7"):
        simulate(spec, job)
    job = random_job(spec, 3, 0)
    job.window_length[0] = 32
    with pytest.raises(CodeError, match=r"window_length\[0\] = 32: allowed whole numbers 0 to 31"):
        simulate(spec, job)
    job = replace(random_job(spec, 3, 0), flush=np.zeros(2, dtype=np.uint8))
    with pytest.raises(CodeError, match=r"flush has shape \(2,\): needs \[tokens\], one number a"):
        simulate(spec, job)


def test_a_missing_simulator_is_named(monkeypatch):
    monkeypatch.setattr(runner.shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="Icarus Verilog"):
        simulate(SPECS["small"], random_job(SPECS["small"], 1, 0))
