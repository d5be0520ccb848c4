"""Random codes for a hardware specification."""

import torch
from torch import Tensor

from analog_models.spec import HardwareSpec


def random_codes(
    spec: HardwareSpec, generator: torch.Generator, heads: int, shared: int, tokens: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of a batch of two: q [2, heads, T, D], k and v [2, shared, T, D], float64."""
    dim, levels = spec.geometry.head_dim, spec.levels
    sizes = ((levels.q, heads), (levels.kv, shared), (levels.kv, shared))
    q, k, v = (
        torch.randint(n, (2, h, tokens, dim), generator=generator).double() for n, h in sizes
    )
    return q, k, v
