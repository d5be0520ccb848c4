"""The published adaptation algorithm, restated (Leroux et al. 2025, Methods).

Each head has a scale a and an offset b for each of q, k, v and the output, from a = 1 and b = 0. On
the same texts, until every mean and standard deviation is the target's to 1e-4:

    a <- a (1 + alpha (sigma_target / sigma - 1)),    b <- b + alpha (mu_target - mu)

with alpha falling from 1 to 0.1 in 50 steps.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Statistics = tuple[Reals, Reals]  # mean and standard deviation of every scaled signal of every head


def published_matching(
    statistics: Callable[[Reals, Reals], Statistics], target: Statistics, most_steps: int
) -> tuple[Reals, Reals, list[float]]:
    """The scales a and offsets b, shaped like the statistics, and the largest error of each step.

    statistics: mean and standard deviation of the scaled signals, given a and b.
    """
    a, b = np.ones_like(target[0]), np.zeros_like(target[0])
    errors: list[float] = []
    for step in range(most_steps):
        mean, std = statistics(a, b)
        errors.append(max(np.abs(mean - target[0]).max(), np.abs(std - target[1]).max()))
        if errors[-1] < 1e-4:
            break
        alpha = 1.0 - 0.9 * min(step, 50) / 50
        a = a * (1 + alpha * (target[1] / std - 1))
        b = b + alpha * (target[0] - mean)
    return a, b, errors


def by_head(signal: NDArray) -> Statistics:
    """Mean and standard deviation of a signal [text, head, token, channel], [head] each."""
    rows = np.moveaxis(np.asarray(signal, dtype=np.float64), 1, 0).reshape(signal.shape[1], -1)
    return rows.mean(1), rows.std(1, ddof=1)
