"""A model whose attention runs on imperfect hardware, for perplexity against its imperfections.

One pair of arrays with its converters serves a key and value head and all the query heads that
share it: it is written once a token, and read anew for each of these query heads.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count, islice
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from analog_models.attend import causal_attention
from analog_models.physics import EXACT
from analog_models.spec import HardwareSpec, overlaid
from analog_models.variation import Variation, head_variations
from ml.attention.backend import Backend
from ml.attention.heads import GainCellHeads, heads_of, using
from ml.attention.precision import doubles
from ml.attention.surrogate import SurrogateOps

__all__ = ["Conditions", "Imperfect", "imperfect"]

Model = TypeVar("Model", bound=nn.Module)


class Conditions(NamedTuple):
    """What to measure a model with: an overlay of imperfections, by name or file; how many pieces
    of hardware further than the overlay's; the seed of noise.
    """

    overlay: str
    device: int = 0
    seed: int = 0

    def hardware(self, spec: HardwareSpec) -> HardwareSpec:
        """`spec` with these imperfections. Raises SpecError."""
        found = overlaid(spec, self.overlay)
        number = found.imperfections.device_seed + self.device
        return found.replace(imperfections__device_seed=number)

    def noise(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


class Imperfect(Backend):
    """`causal_attention` in double precision on pieces of imperfect hardware, noise anew each time.

    variations: of each layer those of its pairs of arrays [Hkv, ...]. noise: generator on the
    device of the codes.
    """

    def __init__(self, variations: Sequence[Variation], noise: torch.Generator) -> None:
        self.variations = [layer.map(lambda x: x[:, None]) for layer in variations]
        self.noise = noise

    def attend(self, layer: int, spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As `Backend.attend`. Raises CodeError for a sequence longer than the window."""
        flows = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
        shared = k.shape[-3]
        q_codes = doubles(q).unflatten(-3, (shared, -1))  # [..., Hkv, g, T, D]
        k_codes, v_codes = (doubles(x).unsqueeze(-3) for x in (k, v))
        ops, variation = SurrogateOps() if flows else EXACT, self.variations[layer]
        out = causal_attention(spec, q_codes, k_codes, v_codes, ops, variation, self.noise)
        return out.flatten(-4, -3).to(q.dtype)


@contextmanager
def imperfect(model: Model, spec: HardwareSpec, noise: torch.Generator) -> Iterator[Model]:
    """Inside, the attention of `model` runs on `spec` with its imperfections; then as before.

    Key and value head h of layer l, counted from 0, is piece l * Hkv + h of the hardware of
    `imperfections.device_seed`, as in a co-simulation of that piece. The heads map signals to parts
    of full scale, so that they speak the codes of any levels. A specification whose imperfections
    are off costs nothing.
    """
    layers = heads_of(model)
    before = [heads.spec for heads in layers]
    try:
        for heads in layers:
            heads.spec = spec
        with nullcontext() if spec.imperfections.off else using(model, _drawn(layers, spec, noise)):
            yield model
    finally:
        for heads, original in zip(layers, before, strict=True):
            heads.spec = original


def _drawn(layers: list[GainCellHeads], spec: HardwareSpec, noise: torch.Generator) -> Imperfect:
    """The hardware of all heads."""
    numbers = count()
    return Imperfect(
        [
            head_variations(spec, islice(numbers, heads.kv_heads), doubles(heads.offset_k))
            for heads in layers
        ],
        noise,
    )
