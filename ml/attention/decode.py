"""Cached decoding: one token at a time, code for code what the parallel forms give.

The cache is what the arrays hold: key and value codes by slot, token t in slot t mod M. When each
was written follows from how many tokens there were.
"""

from functools import lru_cache

import torch
from torch import Tensor

from analog_models.attend import Cells, counts_of, pulses_and_charge
from analog_models.physics import cell_terms, check_codes, leakage_table
from analog_models.spec import HardwareSpec
from common.errors import CodeError
from ml.attention.exact import check_inputs, exact_attention
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
    forgotten; None: 0. Returns [B, Hq, 1, D], float64.
    """
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


class WindowCache:
    """Key and value codes of one layer, [B, Hkv, slot, D] in uint8, for a batch in step.

    Attributes:
        tokens: how many each sequence of the batch has had so far.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self.spec = spec
        self.flush()

    def flush(self) -> None:
        """Start new sequences, of any batch size."""
        self.tokens = 0
        self._k: Tensor | None = None
        self._v: Tensor | None = None

    def reorder(self, rows: Tensor) -> None:
        """Let row i of the batch go on from what row `rows[i]` was, as beam search does."""
        if self._k is not None and self._v is not None:
            self._k, self._v = self._k[rows], self._v[rows]

    def update_and_attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Take the next n tokens and return their output codes [B, Hq, n, D], of the type of q.

        q: [B, Hq, n, D] codes; k and v: [B, Hkv, n, D]; Hq a multiple of Hkv. The first tokens
        may be many, they go through `exact_attention`. Raises `CodeError` for codes or shapes
        that do not fit, `SpecError` for imperfect hardware.
        """
        self._check(q, k, v)
        k, v = k.to(torch.uint8), v.to(torch.uint8)
        if self.tokens == 0:
            self._fill(k, v)
            exact = exact_attention(self.spec, doubles(q), doubles(k), doubles(v))
            return exact.to(q.dtype)
        tokens = zip(*(x.unbind(-2) for x in (q, k, v)), strict=True)
        return torch.stack([self._step(*token) for token in tokens], dim=-2).to(q.dtype)

    def _check(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        check_inputs(self.spec, q, k, v)
        for name, codes, levels in (
            ("q", q, self.spec.levels.q),
            ("k", k, self.spec.levels.kv),
            ("v", v, self.spec.levels.kv),
        ):
            check_codes(codes, levels, name)
        if self._k is not None and k.shape[:2] != self._k.shape[:2]:
            raise CodeError(
                f"k has shape {tuple(k.shape)}: the cache is of {self._k.shape[0]} sequences and "
                f"{self._k.shape[1]} key heads; flush it to start others"
            )

    def _fill(self, k: Tensor, v: Tensor) -> None:
        """Write the first tokens, of which later ones overwrite those a window before."""
        window, count = self.spec.geometry.window, k.shape[-2]
        kept = torch.arange(max(0, count - window), count, device=k.device)
        shape = (*k.shape[:2], window, k.shape[-1])
        self._k, self._v = k.new_zeros(shape), v.new_zeros(shape)
        self._k[:, :, kept % window] = k[:, :, kept]
        self._v[:, :, kept % window] = v[:, :, kept]
        self.tokens = count

    def _step(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """One token, codes [B, Hq, D] and [B, Hkv, D]."""
        assert self._k is not None and self._v is not None
        geometry = self.spec.geometry
        latest = self.tokens
        self.tokens += 1
        slot = latest % geometry.window
        self._k[:, :, slot], self._v[:, :, slot] = k, v
        used = -(-min(self.tokens, geometry.window) // geometry.subtile) * geometry.subtile
        age = (slot - torch.arange(used, device=k.device)) % geometry.window
        age = torch.where(age <= latest, age, -1)
        return attend_slots(self.spec, q, self._k[:, :, :used], self._v[:, :, :used], age[None])
