"""Decoding: one token at a time, code for code what the parallel forms give.

Token t is in slot t mod M of the arrays. When each slot was written follows from how many tokens
there were. `ml.attention.cache` keeps the codes.
"""

from functools import lru_cache

import torch
from torch import Tensor

from analog_models.attend import Cells, counts_of, pulses_and_charge
from analog_models.physics import cell_terms, leakage_table
from analog_models.spec import HardwareSpec
from analog_models.variation import checked_variation
from ml.attention.precision import doubles


def attend_slots(spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, age: Tensor) -> Tensor:
    """Output codes of one token's queries [B, Hq, D] on what the slots hold, float64 [B, Hq, D].

    k, v: uint8 codes [B, Hkv, slot, D], Hq a multiple of Hkv, the slots whole sub-tiles. age:
    [B or 1, slot] tokens since the write of each; slots of negative age are not seen.
    """
    queries = doubles(q).unflatten(1, (k.shape[1], -1))  # [B, Hkv, g, D]
    constant, by_level, leakage = tables(spec, k.device)
    k_terms, v_terms = (_by_code(by_level, codes) for codes in (k, v))
    cells = Cells(constant, k_terms, v_terms, leakage)
    _, charge = pulses_and_charge(spec, queries, cells, age[:, None, None])
    return counts_of(spec, charge).sum(-3).flatten(1, 2)


@lru_cache(maxsize=8)  # every token of every layer asks for the same
def tables(spec: HardwareSpec, device: torch.device) -> tuple[float, list[Tensor], Tensor]:
    """Constant and terms of the charge of a cell by level, and the leakage by age."""
    levels = torch.arange(spec.levels.kv, dtype=torch.float64, device=device)
    return *cell_terms(spec, levels), leakage_table(spec, like=levels)


def _by_code(by_level: list[Tensor], codes: Tensor) -> list[Tensor]:
    """Each table [level] at every code, of the shape of the codes."""
    index = codes.flatten().int()
    return [table.index_select(0, index).view(codes.shape) for table in by_level]


def step(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, starts: Tensor | None = None
) -> Tensor:
    """Output codes of the last token alone: q [B, Hq, 1, D], k and v [B, Hkv, n, D] codes.

    Code for code what `exact_attention` gives in float64. n is at least the window, or all tokens
    of the sequence; starts: [B] index of its first token, or of one in the same slot where that is
    forgotten; None: 0. Returns [B, Hq, 1, D], float64. Raises `SpecError` for imperfect hardware.
    """
    checked_variation(spec, None, None)
    rows, window, latest = spec.geometry.subtile, spec.geometry.window, k.shape[-2] - 1
    first = torch.zeros(1, dtype=torch.long, device=k.device) if starts is None else starts
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
