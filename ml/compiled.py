"""The attention of the hardware through torch.compile: faster training, needs a C++ compiler."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from analog_models.physics import Ops, causal_attention
from analog_models.spec import HardwareSpec


@cache
def _compiled() -> Callable[..., Tensor]:
    """Compiled on first use: importing the compiler alone takes seconds."""
    return torch.compile(causal_attention, dynamic=False)


def compiled_attention(spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops) -> Tensor:
    """causal_attention, compiled where gradients are wanted; elsewhere compiling costs more."""
    attend = _compiled() if torch.is_grad_enabled() else causal_attention
    return attend(spec, q, k, v, ops)
