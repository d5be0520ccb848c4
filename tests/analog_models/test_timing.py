import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analog_models.spec import load_preset
from analog_models.timing import predict
from analog_models.workload import Workload
from cosim.closure.stimulus import closure_spec, random_job
from cosim.run.building import simulate
from tests.cosim.conftest import small_spec
from tests.schedules import SHORT, random_schedules

PRESET = load_preset()


@cache
def random_specs(seed):
    spec = small_spec(**SHORT)
    return spec.replace(schedules=random_schedules(spec, 8, seed))


@pytest.mark.parametrize(
    ("schedule", "queries", "periods", "latencies"),
    [
        (0, 1, {65}, {65}),
        (0, 3, {65, 55}, {65, 55}),
        (1, 1, {52}, {52}),
        (1, 3, {52}, {52}),
        (2, 1, {21}, {58}),
        (2, 3, {21}, {58}),
    ],
)
def test_the_presets_take_what_the_rtl_takes(schedule, queries, periods, latencies):
    timing = predict(PRESET, Workload.of(20, schedule, queries))
    assert set(np.diff(timing.accepted)) == periods
    assert set(timing.finished - timing.accepted) == latencies
    assert timing.cycles == timing.finished[-1] + 1


def test_a_result_may_wait_as_long_as_the_schedule_leaves():
    for schedule, free in ((0, 10), (1, 0), (2, 4)):
        period = PRESET.schedules[list(PRESET.schedules)[schedule]].period
        for stall, late in ((free, 0), (free + 1, 1), (free + 7, 7)):
            timing = predict(PRESET, Workload.of(30, schedule, stall=stall))
            assert timing.accepted[-1] - timing.accepted[-2] == period + late


def test_a_core_waits_for_its_beats_where_its_schedule_leaves_no_cycles():
    overlapped = predict(PRESET, Workload.of(30, 1).in_core(4))
    assert overlapped.accepted[-1] - overlapped.accepted[-2] == 52 + 3
    pipelined = predict(PRESET, Workload.of(30, 2).in_core(16))
    assert pipelined.accepted[-1] - pipelined.accepted[-2] == 21 + 15 - 4


def test_a_schedule_changes_when_nothing_is_in_flight():
    workload = Workload.of(4)
    workload.schedule[2:] = 1
    timing = predict(PRESET, workload)
    assert timing.accepted.tolist() == [1, 66, 66 + 65 + 2, 66 + 65 + 2 + 52]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    own=st.booleans(),
    gap=st.sampled_from([0, 1, 20, 60, 130]),
    stall=st.sampled_from([0, 1, 5, 90]),
)
def test_a_leap_ends_where_single_steps_end(seed, own, gap, stall):
    rng = np.random.default_rng(seed)
    spec = PRESET if own else random_specs(seed % 9)
    stretch, tokens = rng.integers(1, 40), 60
    workload = Workload(
        rng.random(tokens) < rng.choice([0, 0.3]),
        np.repeat(rng.integers(0, 9, tokens), stretch)[:tokens],
        rng.integers(0, gap + 1, tokens) * (rng.random(tokens) < rng.choice([0.05, 0.5])),
        rng.integers(0, stall + 1, tokens) * (rng.random(tokens) < 0.5),
    )
    leaps, steps = predict(spec, workload), predict(spec, workload, leap=False)
    for name in ("accepted", "finished", "taken"):
        assert np.array_equal(getattr(leaps, name), getattr(steps, name)), name


def calls_of(function: Callable[[], object]) -> int:
    """Python functions that `function` calls: its work, whatever else the machine does."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def test_a_stretch_of_many_tokens_is_taken_at_once():
    many, few = Workload.of(200_000, 2), Workload.of(2_000, 2)
    accepted = predict(PRESET, many).accepted
    assert accepted[-1] - accepted[0] == 21 * 199_999
    steps = calls_of(lambda: predict(PRESET, few, leap=False))
    assert steps > 2_000
    assert calls_of(lambda: predict(PRESET, many)) == calls_of(lambda: predict(PRESET, few))


@pytest.mark.parametrize("own", [False, True])
def test_every_edge_is_where_the_rtl_has_it(own):
    """Random sequences, queries, changes of schedule and back-pressure, none of which it knew."""
    spec = random_specs(0) if own else closure_spec()
    job = random_job(spec, 100, 4711, waits=(60, 60))
    job = replace(job, max_gap=25, max_stall=25) if own else job
    outcome = simulate(spec, job)
    workload = Workload(job.query_only > 0, job.schedule.astype(int), job.gaps, job.stalls)
    timing = predict(spec, workload)
    offset = outcome.accepted[0] - timing.accepted[0]
    assert np.array_equal(outcome.accepted, timing.accepted + offset)
    assert np.array_equal(outcome.finished, timing.finished + offset)
