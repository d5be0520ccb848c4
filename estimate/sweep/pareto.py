"""Pareto front: the designs that no other one beats."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

__all__ = ["on_front"]


def on_front(objectives: np.ndarray, conditions: Sequence[Hashable]) -> np.ndarray:
    """Whether no design of the same condition is as good in all and better in one, [design].

    objectives: [design, objective], less being better. conditions: of each design.
    """
    groups = defaultdict(list)
    for index, condition in enumerate(conditions):
        groups[condition].append(index)
    front = np.zeros(len(objectives), dtype=bool)
    for members in groups.values():
        values = objectives[members]
        front[members] = [not _beaten(value, values) for value in values]
    return front


def _beaten(value: np.ndarray, others: np.ndarray) -> bool:
    return bool(((others <= value).all(axis=1) & (others < value).any(axis=1)).any())
