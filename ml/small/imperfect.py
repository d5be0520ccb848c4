"""A model whose attention runs on imperfect hardware, for perplexity against its imperfections."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from analog_models.physics import Ops, causal_attention
from analog_models.spec import HardwareSpec
from analog_models.variation import Variation, head_variations
from ml.small.hardware_attention import attention_layers
from ml.small.model import LanguageModel

__all__ = ["ImperfectAttention", "imperfect"]


class ImperfectAttention:
    """What a layer takes as `attend`: all heads on their own pieces of hardware, noise anew.

    variation: that of the layer's heads [H, ...]. noise: generator on the device of the codes.
    """

    def __init__(self, variation: Variation, noise: torch.Generator) -> None:
        self.variation, self.noise = variation, noise

    def __call__(self, spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops) -> Tensor:
        """Output codes for codes [B, H, T, d]."""
        return causal_attention(spec, q, k, v, ops, self.variation, self.noise)


@contextmanager
def imperfect(
    model: LanguageModel, spec: HardwareSpec, noise: torch.Generator
) -> Iterator[LanguageModel]:
    """Inside, the attention of `model` runs on `spec` with its imperfections; then as before.

    Head h of layer l is piece l * heads + h of the hardware of `imperfections.device_seed`, as in
    a co-simulation of that piece. A specification whose imperfections are off costs nothing.
    """
    layers = attention_layers(model)
    before = [(layer.spec, layer.attend) for layer in layers]
    try:
        for number, layer in enumerate(layers):
            layer.spec = spec
            if not spec.imperfections.off:
                heads = range(number * layer.heads, (number + 1) * layer.heads)
                drawn = head_variations(spec, heads, layer.qkv.weight)
                layer.attend = ImperfectAttention(drawn, noise)
        yield model
    finally:
        for layer, (original, attend) in zip(layers, before, strict=True):
            layer.spec, layer.attend = original, attend
