"""Text from a language model whose attention is computed outside of it, token by token."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codesign.heads import Heads
from ml.small.hardware_attention import Codes, attention_layers
from ml.small.model import LanguageModel

__all__ = ["ClosedLoop", "Sampler", "generate"]

Predict = Callable[[Tensor], Tensor]
"""Logits [vocabulary] of what comes next, from the ids [T] that are new since the last call."""


class ClosedLoop:
    """A model and the heads that compute its attention; `model` is changed for good.

    model: in double precision, its projections give codes (`ml.small.shipped.load_adapted`).
    """

    def __init__(self, model: LanguageModel, heads: Heads) -> None:
        self._model, self._heads = model, heads
        self._position = 0
        layers = attention_layers(model)
        self._seen: list[list[Codes]] = [[] for _ in layers]
        for number, layer in enumerate(layers):
            layer.attend = partial(self._attend, number)

    @torch.no_grad()
    def predict(self, ids: Tensor) -> Tensor:
        """As `Predict`. Raises what the heads raise."""
        logits = self._model(ids[None], start=self._position)[0, -1]
        self._position += len(ids)
        return logits

    @property
    def codes(self) -> Codes:
        """Codes in and out of all heads so far, [layer, head, token, d]."""
        layers = (
            [torch.cat(signal, dim=1) for signal in zip(*seen, strict=True)] for seen in self._seen
        )
        return Codes(*map(torch.stack, zip(*layers, strict=True)))

    def _attend(self, layer: int, spec: Any, q: Tensor, k: Tensor, v: Tensor, ops: Any) -> Tensor:
        """What `GainCellAttention` calls in the place of `causal_attention`: [1, H, T, D]."""
        codes = (x[0].numpy().astype(np.uint8) for x in (q, k, v))
        out = torch.from_numpy(self._heads.attend(layer, self._position, *codes)).to(q)
        self._seen[layer].append(Codes(q[0], k[0], v[0], out))
        return out[None]


class Sampler:
    """Chooses the next token: the likeliest at temperature 0, else at random, decided by `seed`."""

    def __init__(self, temperature: float = 0.0, seed: int = 0) -> None:
        self._temperature = temperature
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, logits: Tensor) -> int:
        """Logits [vocabulary] -> id."""
        if not self._temperature:
            return int(logits.argmax())
        chances = torch.softmax(logits / self._temperature, dim=-1)
        return int(torch.multinomial(chances, 1, generator=self._generator))


def generate(
    predict: Predict, prompt: Tensor, tokens: int, choose: Callable[[Tensor], int]
) -> Iterator[int]:
    """Ids that follow the ids of the prompt [T], each as soon as it is chosen."""
    new = prompt
    for _ in range(tokens):
        chosen = choose(predict(new))
        yield chosen
        new = torch.tensor([chosen])
