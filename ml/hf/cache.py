"""The cache of generation: key and value codes, which is what the arrays hold.

A query needs the codes of its window only. Slot t mod M holds token t and which slots share a
sub-tile decides what is counted together; so the cache forgets tokens by whole windows, which
leaves the slot of every other token what it is.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from analog_models.spec import HardwareSpec
from ml.decode import attend_slots
from ml.hf.heads import GainCellHeads

KEPT_WINDOWS = 2  # a sequence that starts late loses the rest of its first lap: one is not enough
CODES = torch.uint8


class CodeLayer(DynamicLayer):
    """Codes of one layer, [B, Hkv, token, D], oldest first; `forgotten` tokens came before them."""

    keys: Any
    values: Any

    def __init__(self, heads: GainCellHeads) -> None:
        super().__init__()
        self.heads = heads
        self.forgotten = 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Encode and add keys and values [B, Hkv, T, D]; codes of all tokens that are kept."""
        drop = self._forgotten_next() - self.forgotten
        k, v = (
            self.heads.encode(name, x).to(CODES)
            for name, x in (("k", key_states), ("v", value_states))
        )
        if self.is_initialized:
            k = torch.cat((self.keys[..., drop:, :], k), dim=-2)
            v = torch.cat((self.values[..., drop:, :], v), dim=-2)
        self.keys, self.values, self.forgotten = k, v, self.forgotten + drop
        self.is_initialized = True
        return k, v

    def get_seq_length(self) -> int:
        """Tokens seen so far, those that are forgotten included."""
        return self.forgotten + super().get_seq_length()

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Tokens kept after an update with so many, and tokens forgotten by then."""
        forgotten = self._forgotten_next()
        return self.get_seq_length() + query_length - forgotten, forgotten

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.forgotten = 0

    def _forgotten_next(self) -> int:
        """Tokens forgotten once the next ones have come: whole windows."""
        window = self.heads.spec.geometry.window
        spare = self.get_seq_length() // window - KEPT_WINDOWS
        return max(self.forgotten, spare * window)


class CodeCache(Cache):
    """The cache of a model with gain-cell attention, from the heads of its layers."""

    layers: list[Any]

    def __init__(self, heads: list[GainCellHeads]) -> None:
        super().__init__(layers=[CodeLayer(layer) for layer in heads])


def step(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, starts: Tensor | None = None
) -> Tensor:
    """Output codes of the last token alone: q [B, Hq, 1, D], k and v [B, Hkv, n, D] codes.

    Code for code what `exact_attention` gives in float64. n is at least the window, or all tokens
    of the sequence; starts: [B] index of its first token, or of one in the same slot where that is
    forgotten; None: 0. Returns [B, Hq, 1, D], float64.
    """
    rows, window, latest = spec.geometry.subtile, spec.geometry.window, k.shape[-2] - 1
    first = torch.zeros(1, dtype=torch.long) if starts is None else starts
    first = first.to(k.device)[:, None]
    used = min(window, -(-k.shape[-2] // rows) * rows)
    age = ((latest - first) % window - torch.arange(used, device=k.device)) % window  # [B, slot]
    token = latest - age
    k, v = (_by_slot(x, token.clamp_min(0)) for x in (k, v))
    age = torch.where(token >= first, age, -1)
    return attend_slots(spec, q.squeeze(-2), k, v, age).unsqueeze(-2)


def _by_slot(codes: Tensor, token: Tensor) -> Tensor:
    """Codes [B, H, n, D] of the tokens [B or 1, slot] -> [B, H, slot, D]."""
    if len(token) == 1:
        return codes.index_select(-2, token[0])
    batch = torch.arange(len(token), device=codes.device)[:, None]
    return codes.transpose(1, 2)[batch, token].transpose(1, 2)
