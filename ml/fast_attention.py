"""The hardware's attention in tiles: nothing T x T is ever stored, and any T may exceed the window.

A tile is one sub-tile of keys and the queries that see it. In `fast_attention` the leakage of power
i over an age t - s is split, exp(-i lambda (t - s)) = exp(-i lambda t) exp(i lambda s), into a
factor of the query and one of the cell, so that all powers are one matrix product; the backward
pass computes each tile anew (Dao et al. 2022, FlashAttention). `exact_attention` keeps the
arithmetic of `physics.causal_attention`, tile by tile.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analog_models.errors import CodeError, SpecError
from analog_models.physics import (
    EXACT,
    Ops,
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
from ml.surrogate import CLIP_LEAK

__all__ = ["exact_attention", "fast_attention"]

TILE_ELEMENTS = 1 << 18  # of one product: a megabyte in float32, which stays in the cache
LARGEST_EXPONENT = 40.0  # of a leakage factor, far from the limits of float32


class Tile(NamedTuple):
    """Keys [first, last) and the queries [low, high) that see them as the newest of their slots.

    Where the tile is `diagonal`, its first queries are as old as its keys: they see those up to
    their own, and of the sub-tile's `previous` lap (None: there was none) the slots behind it.
    """

    first: int
    last: int
    low: int
    high: int
    diagonal: bool
    previous: int | None


def tiles(spec: HardwareSpec, low: int, high: int) -> Iterator[Tile]:
    """Tiles of the queries [low, high), tokens counted from the first key; low starts a sub-tile."""
    rows, window = spec.geometry.subtile, spec.geometry.window
    for first in range(max(0, low - window + rows), high, rows):
        diagonal = first >= low
        previous = first - window if diagonal and first >= window else None
        last = min(first + rows, high)
        yield Tile(first, last, max(low, first), min(high, first + window), diagonal, previous)


def check_shapes(spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raise `CodeError` unless q is [..., Hq, T, D], k and v [..., Hkv, T, D], Hq = g * Hkv."""
    fits = (
        q.dim() >= 3
        and k.shape == v.shape
        and q.shape[:-3] == k.shape[:-3]
        and q.shape[-2:] == k.shape[-2:]
        and q.shape[-3] % k.shape[-3] == 0
        and q.shape[-1] == spec.geometry.head_dim
    )
    if not fits:
        shapes = [tuple(x.shape) for x in (q, k, v)]
        raise CodeError(
            f"q, k, v have shapes {shapes}: need [..., Hq, T, {spec.geometry.head_dim}] and twice "
            "[..., Hkv, T, the same], Hq a multiple of Hkv"
        )


class _Plan:
    """Numbers of one call: scales that make phi 1 at full scale and charges counts."""

    def __init__(self, spec: HardwareSpec, group: int, lead: int, like: Tensor) -> None:
        self.spec, self.group, self.lead, self.like = spec, group, lead, like
        leakage, converter = spec.leakage, spec.converter
        self.rate = leakage.decay_per_token
        self.per_power = leakage.convention == "per_power" and self.rate > 0
        self.powers = max(1, len(spec.cell_polynomial) - 1) if self.per_power else 1
        self.k_scale = 1.0 / (spec.levels.q_max * converter.s_sat)
        self.v_scale = converter.t_max_ps / (converter.a_sat * spec.clock.t_clk_ps)
        self.width_max = converter.t_max_ps / spec.clock.t_clk_ps
        self.count_max = spec.levels.count_max
        steps = round(spec.cell_polynomial[0] / spec.grid.charge)  # as physics.cell_terms
        self.full_constant = steps * spec.grid.charge
        self.constant = self.full_constant if self.per_power else 0.0
        rows = spec.geometry.subtile
        token = torch.arange(rows).repeat_interleave(group)[:, None]
        self.hidden = torch.arange(rows)[None, :] > token

    def cells(self, codes: Tensor, scale: float) -> Tensor:
        """Charges [b, T, D * power] of codes [b, T, D], with the cell's factor of the leakage."""
        _, *coefficients = self.spec.cell_polynomial
        constant = self.full_constant
        x = codes * self.spec.kv_step_v - self.spec.leakage.asymptote_v
        power, terms = scale, []
        for c in coefficients:
            power = power * x
            terms.append(power * c)
        if not self.per_power:
            terms = [sum(terms, torch.full_like(x, constant * scale))]
        s = torch.arange(codes.shape[-2], dtype=torch.float64) - self.lead
        factor = torch.exp(self.rate * s)[:, None]
        return torch.cat(
            [t * (factor**i).to(x.dtype) for i, t in enumerate(terms, 1)] or [x * 0.0], dim=-1
        )

    def decay(self, low: int, high: int) -> Tensor:
        """The query's factor of the leakage of power 1, [(high - low) * group, 1]."""
        t = torch.arange(low, high, dtype=torch.float64) - self.lead
        return torch.exp(-self.rate * t).repeat_interleave(self.group)[:, None].to(self.like.dtype)

    def queries(self, q: Tensor, decay: Tensor) -> Tensor:
        """[b, rows, D] -> [b, rows, D * power]."""
        return torch.cat([q * decay**i for i in range(1, self.powers + 1)], dim=-1)

    def combine(self, parts: Tensor, decay: Tensor) -> Tensor:
        """Sum over powers of decay^i * part i: [b, rows, D * power] -> [b, rows, D]."""
        first, *rest = parts.chunk(self.powers, dim=-1)
        total = rest[-1] if rest else first
        for part in [*rest[-2::-1], first] if rest else []:
            total = torch.addcmul(part, total, decay)
        return total * decay

    def score(self, queries: Tensor, bias: Tensor | None, k: Tensor) -> Tensor:
        """Charge over that of full scale, [b, rows, keys]."""
        if bias is None:
            return torch.bmm(queries, k.mT)
        return torch.baddbmm(bias, queries, k.mT)

    def charge(self, phi: Tensor, v: Tensor, decay: Tensor) -> Tensor:
        """Charge in counts, [b, rows, D]."""
        total = self.combine(torch.bmm(phi, v), decay)
        if self.constant:
            total += phi.sum(-1, keepdim=True) * (self.constant * self.v_scale)
        return total

    def bias(self, q: Tensor) -> Tensor | None:
        """What the cells' constant adds to the scores of queries [b, rows, D]: [b, rows, 1]."""
        if not self.constant:
            return None
        return q.sum(-1, keepdim=True) * (self.constant * self.k_scale)

    def chunks(self, batch: int, tokens: int) -> Iterator[tuple[int, int]]:
        """Stretches of queries whose tiles stay in the cache."""
        rows = self.spec.geometry.subtile
        wanted = TILE_ELEMENTS // (batch * self.group * rows)
        step = max(rows, wanted // rows * rows)
        for low in range(self.lead, tokens, step):
            yield low, min(low + step, tokens)


class _Seen(NamedTuple):
    """Queries `rows` that see keys `keys`; `hidden` masks keys of the first queries."""

    rows: slice
    keys: slice
    hidden: Tensor | None


def _parts(plan: _Plan, tile: Tile, low: int) -> list[_Seen]:
    """The tile, and the previous lap of its sub-tile where queries see that, too."""
    g = plan.group
    rows = slice((tile.low - low) * g, (tile.high - low) * g)
    keys = slice(tile.first, tile.last)
    size = tile.last - tile.first
    if not tile.diagonal:
        return [_Seen(rows, keys, None)]
    parts = [_Seen(rows, keys, plan.hidden[: size * g, :size])]
    if tile.previous is not None:
        old = slice(tile.previous, tile.previous + plan.spec.geometry.subtile)
        early = slice(rows.start, rows.start + size * g)
        parts.append(_Seen(early, old, ~plan.hidden[: size * g]))
    return parts


def _mask(x: Tensor, hidden: Tensor | None) -> None:
    if hidden is not None:
        x[:, : hidden.shape[0]].masked_fill_(hidden, 0.0)


class _Tiled(torch.autograd.Function):
    """q [b, T * g, D] token by token, k and v [b, lead + T, D] codes -> output codes like q."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ctx.plan = plan
        ctx.save_for_backward(q, k, v)
        k_cells, v_cells = plan.cells(k, plan.k_scale), plan.cells(v, plan.v_scale)
        out = torch.zeros_like(q)
        limit = min(plan.count_max, math.floor(plan.width_max + 0.5))
        for low, high in plan.chunks(len(q), k.shape[1]):
            rows = slice((low - plan.lead) * plan.group, (high - plan.lead) * plan.group)
            decay, codes = plan.decay(low, high), q[:, rows]
            queries, bias = plan.queries(codes, decay), plan.bias(codes)
            for tile in tiles(plan.spec, low, high):
                total: Tensor | None = None
                for seen in _parts(plan, tile, low):
                    s = plan.score(
                        queries[:, seen.rows],
                        None if bias is None else bias[:, seen.rows],
                        k_cells[:, seen.keys],
                    )
                    phi = s.clamp_(0.0, 1.0)
                    _mask(phi, seen.hidden)
                    charge = plan.charge(phi, v_cells[:, seen.keys], decay[seen.rows])
                    if total is None:
                        total, into = charge, seen.rows
                    else:
                        total[:, : charge.shape[1]] += charge
                assert total is not None
                counts = total.round_().clamp_(-limit, limit)
                out[:, rows][:, into] += counts
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor, Tensor]:
        plan: _Plan = ctx.plan
        q, k, v = ctx.saved_tensors
        with torch.enable_grad():
            k, v = k.detach().requires_grad_(), v.detach().requires_grad_()
            k_charge, v_charge = plan.cells(k, plan.k_scale), plan.cells(v, plan.v_scale)
        k_cells, v_cells = k_charge.detach(), v_charge.detach()
        dk, dv, dq = torch.zeros_like(k_cells), torch.zeros_like(v_cells), torch.empty_like(q)
        for low, high in plan.chunks(len(q), k.shape[1]):
            rows = slice((low - plan.lead) * plan.group, (high - plan.lead) * plan.group)
            decay, codes, dout = plan.decay(low, high), q[:, rows], grads[0][:, rows].contiguous()
            queries, bias = plan.queries(codes, decay), plan.bias(codes)
            dqueries = torch.zeros_like(queries)
            dbias = torch.zeros_like(dout[..., :1])
            for tile in tiles(plan.spec, low, high):
                parts = _parts(plan, tile, low)
                total, pulses = None, []
                for seen in parts:
                    s = plan.score(
                        queries[:, seen.rows],
                        None if bias is None else bias[:, seen.rows],
                        k_cells[:, seen.keys],
                    )
                    phi = s.clamp(0.0, 1.0)
                    _mask(phi, seen.hidden)
                    pulses.append((phi, s))
                    charge = plan.charge(phi, v_cells[:, seen.keys], decay[seen.rows])
                    if total is None:
                        total = charge
                    else:
                        total[:, : charge.shape[1]] += charge
                assert total is not None
                d_charge = _count_gradient(plan, total, dout[:, parts[0].rows])
                for seen, (phi, s) in zip(parts, pulses, strict=True):
                    d = d_charge[:, : phi.shape[1]]
                    with _bfloat16_products():
                        dparts = plan.queries(d, decay[seen.rows])
                        dphi = torch.bmm(dparts, v_cells[:, seen.keys].mT)
                        if plan.constant:
                            dphi += d.sum(-1, keepdim=True) * (plan.constant * plan.v_scale)
                        dv[:, seen.keys].baddbmm_(phi.mT, dparts)
                        ds = _leaky(dphi, s, 0.0, 1.0)
                        _mask(ds, seen.hidden)
                        dk[:, seen.keys].baddbmm_(ds.mT, queries[:, seen.rows])
                        dqueries[:, seen.rows].baddbmm_(ds, k_cells[:, seen.keys])
                        if plan.constant:
                            dbias[:, seen.rows] += ds.sum(-1, keepdim=True)
            dq[:, rows] = plan.combine(dqueries, decay)
            if plan.constant:
                dq[:, rows] += dbias * (plan.constant * plan.k_scale)
        dk, dv = torch.autograd.grad((k_charge, v_charge), (k, v), (dk, dv))
        return None, dq, dk, dv


@contextmanager
def _bfloat16_products() -> Iterator[None]:
    """Matrix products of float32 take their factors as bfloat16 and sum in float32."""
    settings = torch.backends.mkldnn.matmul
    before = settings.fp32_precision
    settings.fp32_precision = "bf16"
    try:
        yield
    finally:
        settings.fp32_precision = before


def _leaky(gradient: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """Gradient of clamp(x, low, high), CLIP_LEAK of it outside."""
    tiny = torch.finfo(x.dtype).tiny
    above = high * (1.0 + torch.finfo(x.dtype).eps)
    inside = torch.ops.aten.hardtanh_backward(
        gradient, x, low * (1.0 + torch.finfo(x.dtype).eps) - tiny, above
    )
    return inside.mul_(1.0 - CLIP_LEAK).add_(gradient, alpha=CLIP_LEAK)


def _count_gradient(plan: _Plan, charge: Tensor, dout: Tensor) -> Tensor:
    """Gradient of the charge: straight through the count, CLIP_LEAK where a limit holds it."""
    d = _leaky(dout, charge, -plan.width_max, plan.width_max)
    if plan.count_max + 0.5 <= plan.width_max:
        d = _leaky(d, charge, -plan.count_max - 0.5, plan.count_max + 0.5)
    return d.mul_(charge.ne_(0.0))


def fast_attention(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops | None = None
) -> Tensor:
    """Output codes of sequences that start with an empty window, for training.

    q: [..., Hq, T, D] codes, k and v: [..., Hkv, T, D], whole numbers in float tensors; Hq = g *
    Hkv, and query heads i*g ... i*g + g - 1 share key and value head i. Any T. Returns
    [..., Hq, T, D]. Values and gradients are those of `physics.causal_attention` with
    `SurrogateOps`, up to the rounding of the arithmetic; float32 gradients are products of
    bfloat16. `ops` is taken for the signature's sake. Raises `CodeError` for shapes that do not
    fit, `SpecError` where cells leak within a sub-tile.
    """
    check_shapes(spec, q, k, v)
    geometry, powers = spec.geometry, max(1, len(spec.cell_polynomial) - 1)
    rate = spec.leakage.decay_per_token * powers
    tokens = math.floor(LARGEST_EXPONENT / rate) if rate else q.shape[-2]
    step = tokens // geometry.subtile * geometry.subtile
    if step == 0 and q.shape[-2] > tokens:
        raise SpecError(
            f"leakage.decay_per_token = {spec.leakage.decay_per_token}: allowed 0 to "
            f"{LARGEST_EXPONENT / powers / geometry.subtile:.3g} in training, so that charge "
            "outlives its sub-tile"
        )
    outs = []
    for low in range(0, q.shape[-2], max(step, geometry.subtile)):
        high = min(low + max(step, geometry.subtile), q.shape[-2])
        first = max(0, low - geometry.window)
        stretch = (k[..., first:high, :], v[..., first:high, :])
        outs.append(_stretch(spec, q[..., low:high, :], *stretch, lead=low - first))
    return outs[0] if len(outs) == 1 else torch.cat(outs, dim=-2)


def _stretch(spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, lead: int) -> Tensor:
    """Queries whose leakage factors need one reference; the first `lead` keys are older."""
    heads, dim = k.shape[-3], q.shape[-1]
    group = q.shape[-3] // heads
    plan = _Plan(spec, group, lead, q)
    by_token = q.reshape(-1, group, *q.shape[-2:]).transpose(1, 2).flatten(1, 2)
    out = _Tiled.apply(
        plan, by_token, k.reshape(-1, k.shape[-2], dim), v.reshape(-1, k.shape[-2], dim)
    )
    return out.unflatten(1, (-1, group)).transpose(1, 2).reshape(q.shape)  # pyright: ignore


def exact_attention(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops = EXACT
) -> Tensor:
    """The same with the arithmetic of `physics.causal_attention`, code for code in float64.

    Shapes as in `fast_attention`; autograd keeps every tile, so that it is not for training.
    """
    check_shapes(spec, q, k, v)
    tokens, group, rows = q.shape[-2], q.shape[-3] // k.shape[-3], spec.geometry.subtile
    table = leakage_table(spec, like=q)
    spare = -tokens % rows
    k, v = (torch.nn.functional.pad(x, (0, 0, 0, spare)) for x in (k, v))
    constant, k_terms = cell_terms(spec, k.unsqueeze(-3), ops)
    _, v_terms = cell_terms(spec, v.unsqueeze(-3), ops)
    q = q.unflatten(-3, (-1, group))

    def charge(low: int, high: int, first: int) -> Tensor:
        """Charge of the sub-tile from key `first` on for queries [low, high)."""
        keys = slice(first, first + rows)
        age = torch.arange(low, high)[:, None] - torch.arange(keys.start, keys.stop)
        leak = leakage_factors(table, age)
        cells = [x[..., keys, :] for x in k_terms]
        phi = charge_to_pulse(
            spec, score_charge(q[..., low:high, :], constant, cells, leak), ops
        ) * ((age >= 0) & (age < spec.geometry.window))
        return row_charge(spec, phi, constant, [x[..., keys, :] for x in v_terms], leak, ops)

    outs = []
    for low in range(0, tokens, rows):
        high, out = min(low + rows, tokens), torch.zeros((), dtype=q.dtype)
        for tile in tiles(spec, low, high):
            total = charge(low, high, tile.first)
            if tile.previous is not None:
                total = total + charge(low, high, tile.previous)
            counts = count_pulses(spec, signed_charge_to_pulse(spec, total, ops), ops)
            out = out + counts.squeeze(-3)
        outs.append(out)
    return torch.cat(outs, dim=-2).flatten(-4, -3)
