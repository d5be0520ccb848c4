import numpy as np
import pytest

from analog_models.spec import load_preset
from analog_models.workload import Workload
from common.errors import CodeError


def test_grouped_queries_follow_their_write():
    workload = Workload.of(2, schedule=1, queries=3, gap=4, stall=5)
    assert workload.query_only.tolist() == [False, True, True] * 2
    assert workload.tokens == 6
    assert set(workload.schedule) == {1} and set(workload.gap) == {4} and set(workload.stall) == {5}


def test_a_core_takes_and_gives_a_beat_for_each_head():
    workload = Workload.of(3, gap=2).in_core(4)
    assert set(workload.gap) == {6} and set(workload.stall) == {3}
    with pytest.raises(CodeError, match="heads = 0: allowed 1 up"):
        workload.in_core(0)


def test_numbers_out_of_range_mean_the_first_schedule():
    workload = Workload.of(4)
    workload.schedule[:] = [0, 2, 3, 200]
    assert workload.numbers(load_preset()).tolist() == [0, 2, 0, 0]


def test_columns_that_do_not_fit_are_refused():
    columns = {"query_only": [0], "schedule": [0], "gap": [0], "stall": [0]}
    assert Workload.from_columns(columns).tokens == 1
    with pytest.raises(CodeError, match="one value a token in each column"):
        Workload.from_columns(columns | {"gap": [0, 0]})
    with pytest.raises(CodeError, match="stall = -1: allowed 0 up"):
        Workload.from_columns(columns | {"stall": [-1]})
    with pytest.raises(CodeError, match="has no column 'gap'"):
        Workload.from_columns({k: v for k, v in columns.items() if k != "gap"})
    assert np.array_equal(Workload.from_columns(columns | {"gap": [7]}).gap, [7])
