"""What computes the output codes of a model's heads: a backend, which `heads.use` gives a model.

Codes go in and codes come out; what they are computed by is the backend's own matter. Some of them:

`DEFAULT`    the C kernel where gradients flow, else the definition in double precision
`FAST`       the C kernel at all times, in the precision of the model
`Recording`  the definition in double precision, with a record of all codes: for golden vectors
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from analog_models.spec import HardwareSpec
from ml.attention.decode import step
from ml.attention.exact import exact_attention
from ml.attention.fast import fast_attention
from ml.attention.padding import aligned, restored
from ml.attention.precision import doubles

__all__ = ["DEFAULT", "FAST", "SIGNALS", "Backend", "Codes", "Default", "Fast", "Recording"]

SIGNALS: tuple[str, ...] = ("q", "k", "v", "out")


class Codes(NamedTuple):
    """Codes that go into heads and come out: q, out [..., Hq, T, D] and k, v [..., Hkv, T, D]."""

    q: Tensor
    k: Tensor
    v: Tensor
    out: Tensor


class Backend(ABC):
    """Output codes of the heads of each layer, from their codes.

    Query heads i*g ... i*g + g - 1 share key and value head i, Hq = g * Hkv. Codes are whole
    numbers in tensors of any type.
    """

    @abstractmethod
    def attend(self, layer: int, spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Output codes [..., Hq, T, D] of sequences that start with an empty window.

        layer: number of the layer, from 0. q: [..., Hq, T, D], k and v: [..., Hkv, T, D].
        """
        ...

    def attend_latest(
        self,
        layer: int,
        spec: HardwareSpec,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        starts: Tensor | None = None,
    ) -> Tensor:
        """Output codes [B, Hq, t, D] of the latest t of n tokens, for decoding with a cache.

        q: [B, Hq, t, D] of these. k and v: [B, Hkv, n, D] of all that the cache keeps: the whole
        sequence, or its last window and more. starts: [B] index of the first token of each
        sequence, or of one in the same slot where that is forgotten; None: 0.
        """
        latest, kept = q.shape[-2], k.shape[-2]
        q = pad(q, (0, 0, kept - latest, 0))
        out = self.attend(layer, spec, *aligned((q, k.to(q.dtype), v.to(q.dtype)), starts))
        return restored(out, starts)[..., kept - latest :, :]


class Default(Backend):
    """`fast_attention` where gradients flow, `exact_attention` in double precision elsewhere."""

    def attend(self, layer: int, spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
            return fast_attention(spec, q, k, v)
        return exact_attention(spec, doubles(q), doubles(k), doubles(v)).to(q.dtype)

    def attend_latest(
        self,
        layer: int,
        spec: HardwareSpec,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        starts: Tensor | None = None,
    ) -> Tensor:
        if q.shape[-2] == 1:
            return step(spec, q, k, v, starts).to(q.dtype)
        return super().attend_latest(layer, spec, q, k, v, starts)


class Fast(Backend):
    """`fast_attention` at all times: in single precision a few codes of 10^5 are others."""

    def attend(self, layer: int, spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return fast_attention(spec, q, k, v)


class Recording(Backend):
    """`exact_attention` in double precision; keeps what went in and came out.

    Attributes:
        codes: by layer, `Codes` in float64 of each call, in the order of the calls.
    """

    def __init__(self) -> None:
        self.codes: defaultdict[int, list[Codes]] = defaultdict(list)

    def attend(self, layer: int, spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = doubles(q), doubles(k), doubles(v)
        out = exact_attention(spec, q, k, v)
        self.codes[layer].append(Codes(q, k, v, out))
        return out

    def by_layer(self) -> Codes:
        """Codes of the only call of every layer, its batch left out: [layer, H, T, D]."""
        calls = [self.codes[layer] for layer in sorted(self.codes)]
        return Codes(*(torch.cat(signal) for signal in zip(*(c for (c,) in calls), strict=True)))


DEFAULT, FAST = Default(), Fast()
