"""Scalers follow the statistics that another model showed (Leroux et al. 2025, Methods)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FIRST_STEP, LAST_STEP, FALLING_STEPS = 1.0, 0.1, 50
MAX_STEPS = 100
TOLERANCE = 1e-4
SMALLEST_STD = 1e-3


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of groups of signals, any shapes, in units of full scale."""

    mean: list[Tensor]
    std: list[Tensor]

    def error(self, other: "Statistics") -> float:
        """Largest difference in a mean or a standard deviation."""
        pairs = zip(self.mean + self.std, other.mean + other.std, strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)


def follow(
    measure: Callable[[], Statistics],
    move: Callable[[int, Tensor, Tensor], None],
    target: Statistics,
    channelwise: bool = True,
) -> list[float]:
    """Move scalers until `measure()` gives `target`; the largest error after each step.

    `move(i, factor, shift)` changes group i by a factor of its scales and a shift of its offsets.
    The step falls from 1 to 0.1 over 50 steps; it ends when every error is below 1e-4, or after
    100 steps. `channelwise` limits a step to a factor of two: one channel has few values.
    """
    errors = []
    for step in range(MAX_STEPS):
        now = measure()
        errors.append(now.error(target))
        if errors[-1] < TOLERANCE:
            break
        alpha = FIRST_STEP + (LAST_STEP - FIRST_STEP) * min(1.0, step / FALLING_STEPS)
        for i, (std, wanted) in enumerate(zip(now.std, target.std, strict=True)):
            moves = std > SMALLEST_STD  # a silent channel cannot be scaled into speaking
            ratio = torch.where(moves, wanted / std, 1.0)
            factor = 1.0 + alpha * (ratio - 1.0)
            if channelwise:
                factor = ratio.clamp(0.5, 2.0) ** alpha
            move(i, factor, alpha * (target.mean[i] - now.mean[i]))
    return errors
