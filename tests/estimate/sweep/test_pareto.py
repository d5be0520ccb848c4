"""The Pareto front."""

import numpy as np

from estimate.sweep.pareto import on_front


def front(rows, conditions=None):
    return on_front(np.array(rows, float), conditions or [0] * len(rows)).tolist()


def test_what_is_beaten_is_not_on_the_front():
    assert front([(1, 3), (2, 2), (3, 1), (3, 3), (2, 3)]) == [True, True, True, False, False]


def test_equals_stay_together():
    assert front([(1, 1), (1, 1), (1, 2)]) == [True, True, False]


def test_each_condition_has_a_front_of_its_own():
    assert front([(1, 1), (2, 2), (3, 3)], ["a", "b", "b"]) == [True, True, False]


def test_nobody_on_a_front_is_beaten_and_everybody_else_is():
    rows = np.random.default_rng(0).integers(0, 5, (60, 3))
    best = on_front(rows, [0] * 60)
    for row, on in zip(rows, best, strict=True):
        beaten = any((other <= row).all() and (other < row).any() for other in rows)
        assert on != beaten
