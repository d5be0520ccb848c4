"""The cache of generation: key and value codes, which is what the arrays hold.

A query needs the codes of its window only. Slot t mod M holds token t and which slots share a
sub-tile decides what is counted together; so the cache forgets tokens by whole windows, which
leaves the slot of every other token what it is.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from analog_models.physics import (
    cell_terms,
    charge_to_pulse,
    count_pulses,
    leakage_factors,
    leakage_table,
    row_charge,
    score_charge,
    signed_charge_to_pulse,
)
from analog_models.spec import HardwareSpec
from ml.hf.heads import GainCellHeads

KEPT_WINDOWS = 2  # a sequence that starts late loses the rest of its first lap: one is not enough
CODES = torch.uint8


class CodeLayer(DynamicLayer):
    """Codes of one layer, [B, Hkv, token, D], oldest first; `forgotten` tokens came before them."""

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

    def __init__(self, heads: list[GainCellHeads]) -> None:
        super().__init__(layers=[CodeLayer(layer) for layer in heads])


def step(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, starts: Tensor | None = None
) -> Tensor:
    """Output codes of the last token alone: q [B, Hq, 1, D], k and v [B, Hkv, n, D] codes.

    Code for code what `exact_attention` gives in float64. n is at least the window, or all tokens
    of the sequence; starts: [B] index of its first token, modulo the window where that is
    forgotten, None: 0. Returns [B, Hq, 1, D], float64.
    """
    rows, window, latest = spec.geometry.subtile, spec.geometry.window, k.shape[-2] - 1
    used = min(window, -(-k.shape[-2] // rows) * rows)
    first = torch.zeros(1, dtype=torch.long) if starts is None else starts
    first = first.to(k.device)[:, None]
    age = ((latest - first) % window - torch.arange(used, device=k.device)) % window  # [B, slot]
    index = latest - age
    seen = (index >= 0) & (index >= first)
    q = q.double().unflatten(1, (k.shape[1], -1)).squeeze(-2)  # [B, Hkv, g, D]
    leak = leakage_factors(leakage_table(spec, like=q), age)[:, :, None, None]
    (constant, k_terms), (_, v_terms) = (_cells(spec, x, index.clamp_min(0)) for x in (k, v))
    phi = charge_to_pulse(spec, score_charge(q, constant, k_terms, leak))
    charge = row_charge(spec, phi * seen[:, None, None], constant, v_terms, leak)
    counts = count_pulses(spec, signed_charge_to_pulse(spec, charge))  # [B, Hkv, sub-tile, g, D]
    return counts.sum(-3).flatten(1, 2).unsqueeze(-2)


def _cells(spec: HardwareSpec, codes: Tensor, index: Tensor) -> tuple[float, list[Tensor]]:
    """`cell_terms` of the codes [B, Hkv, n, D] at index [B or 1, slot], from a table by level."""
    levels = torch.arange(spec.levels.kv, dtype=torch.float64, device=codes.device)
    constant, by_level = cell_terms(spec, levels)
    if len(index) == 1:
        taken = codes.index_select(-2, index[0])
    else:
        taken = codes.gather(
            -2, index[:, None, :, None].expand(*codes.shape[:2], -1, codes.shape[-1])
        )
    taken = taken.int()
    return constant, [table[taken] for table in by_level]
