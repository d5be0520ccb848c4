"""The hardware's operations with gradients that training can use.

The values are those of the hardware; only the arithmetic grid of the model, which is no part of the
hardware, is left out. Rounding passes the gradient through unchanged (straight-through estimator),
and a saturated value passes a twentieth of it, so that it can find its way back into range.
"""

from typing import Any

import torch
from torch import Tensor

CLIP_LEAK = 0.05


class _LeakyClip(torch.autograd.Function):
    """clamp(x, low, high) whose gradient outside is CLIP_LEAK instead of 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward((x < low) | (x > high))
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (outside,) = ctx.saved_tensors
        return torch.where(outside, grads[0] * CLIP_LEAK, grads[0]), None, None


class _StraightThroughRound(torch.autograd.Function):
    """Round half up; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


class SurrogateOps:
    """`analog_models.physics.Ops` for training."""

    def quantise(self, x: Tensor) -> Tensor:
        """Nearest whole number, halves up, with gradient 1."""
        return _StraightThroughRound.apply(x)  # pyright: ignore[reportReturnType]

    def snap(self, x: Tensor, step: float) -> Tensor:
        """`x` itself: the arithmetic grid is no part of the hardware."""
        return x

    def clip(self, x: Tensor, low: float, high: float) -> Tensor:
        """clamp(x, low, high), with gradient CLIP_LEAK outside."""
        return _LeakyClip.apply(x, low, high)  # pyright: ignore[reportReturnType]
