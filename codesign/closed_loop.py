"""Text from a language model whose attention is computed outside of it, token by token."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from analog_models.spec import HardwareSpec
from codesign.heads import Heads
from ml.attention.backend import Backend, Codes
from ml.attention.cache import CodeCache
from ml.attention.heads import heads_of, using
from ml.errors import ModelError
from ml.models.families import GainCellModel

__all__ = ["ClosedLoop", "Outside", "Sampler", "generate"]

Predict = Callable[[Tensor], Tensor]
"""Logits [T, vocabulary] after each of the ids [T] that are new since the last call."""


class Outside(Backend):
    """Heads outside of torch, with a window of their own, for one sequence; keeps all codes.

    Attributes:
        seen: by layer, codes [H, T, D] of each call, integers.
    """

    def __init__(self, heads: Heads, layers: int) -> None:
        self._heads = heads
        self.seen: list[list[Codes]] = [[] for _ in range(layers)]

    def attend(self, layer: int, spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.seen[layer].clear()
        return self.attend_latest(layer, spec, q, k, v)

    def attend_latest(
        self,
        layer: int,
        spec: HardwareSpec,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        starts: Tensor | None = None,
    ) -> Tensor:
        if starts is not None or q.shape[0] != 1:
            raise ModelError("hardware in a closed loop takes one text at a time, without padding")
        new = q.shape[-2]
        codes = [x[0, :, -new:].to(torch.uint8) for x in (q, k, v)]
        position = sum(part.q.shape[-2] for part in self.seen[layer])
        answer = self._heads.attend(layer, position, *(x.numpy() for x in codes))
        out = torch.from_numpy(answer.astype(np.int16))
        self.seen[layer].append(Codes(codes[0], codes[1], codes[2], out))
        return out[None].to(q.dtype)


class ClosedLoop:
    """A model and the heads that compute its attention.

    model: in double precision, its projections give codes that do not depend on the order of sums.

    Attributes:
        backend: what computes the model's attention while it predicts.
    """

    def __init__(self, model: GainCellModel, heads: Heads) -> None:
        layers = heads_of(model)
        self._model, self._cache = model, CodeCache(layers)
        self.backend = Outside(heads, len(layers))

    @torch.no_grad()
    def predict(self, ids: Tensor) -> Tensor:
        """As `Predict`. Raises what the heads raise."""
        with using(self._model, self.backend):
            output = self._model(ids[None], past_key_values=self._cache, use_cache=True)
        return output.logits[0]

    @property
    def codes(self) -> Codes:
        """Codes of all heads so far: q, out [layer, Hq, T, D], k and v [layer, Hkv, T, D]."""
        layers = (
            [torch.cat(signal, dim=1) for signal in zip(*seen, strict=True)]
            for seen in self.backend.seen
        )
        return Codes(*map(torch.stack, zip(*layers, strict=True)))


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
    predict: Predict,
    prompt: Tensor,
    tokens: int,
    choose: Callable[[Tensor], int],
    known: Sequence[int] = (),
    at_once: bool = True,
) -> Iterator[int]:
    """Ids that follow the ids of the prompt [T], each as soon as it is chosen.

    known: the first of them as an earlier run has chosen them, fewer than `tokens`. They are fed
    again, all at once or in the calls of that run, and chosen again: where one comes out another,
    nothing behind it means anything.
    """
    before = torch.tensor([*known], dtype=prompt.dtype)
    parts = [torch.cat([prompt, before])] if at_once else [prompt, *before[:, None]]
    *again, latest = torch.cat([predict(part) for part in parts])[len(prompt) - 1 :]
    yield from map(choose, again)
    for left in reversed(range(tokens - len(known))):
        chosen = choose(latest)
        yield chosen
        if left:
            latest = predict(torch.tensor([chosen]))[-1]
