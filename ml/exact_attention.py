"""The hardware's attention in tiles with the arithmetic of the plain definition, for evaluation."""

import torch
from torch import Tensor
from torch.nn.functional import pad

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
from ml.tiles import check_shapes, subtiles


def exact_attention(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops = EXACT
) -> Tensor:
    """Output codes of sequences of any length that start with an empty window.

    q: [..., Hq, T, D] codes, k and v: [..., Hkv, T, D]; Hq = g * Hkv, and query heads i*g ...
    i*g + g - 1 share key and value head i. Returns [..., Hq, T, D]. In float64 equal, code for
    code, to `physics.causal_attention` and, when T exceeds the window, to stepping
    `head.GoldenHead`. Autograd would keep every tile: `fast_attention` is for training. Raises
    `CodeError` for shapes that do not fit.
    """
    check_shapes(spec, q, k, v)
    tokens, rows = q.shape[-2], spec.geometry.subtile
    q = q.unflatten(-3, (k.shape[-3], -1))  # [..., Hkv, g, T, D]
    k, v = (pad(x, (0, 0, 0, -tokens % rows)).unsqueeze(-3) for x in (k, v))
    table = leakage_table(spec, like=q)

    def charge(low: int, high: int, first: int) -> Tensor:
        """Charge [..., 1, high - low, D] that the sub-tile of key `first` gives queries."""
        keys = slice(first, first + rows)
        age = torch.arange(low, high)[:, None] - torch.arange(keys.start, keys.stop)
        leak = leakage_factors(table, age)
        constant, k_terms = cell_terms(spec, k[..., keys, :], ops)
        _, v_terms = cell_terms(spec, v[..., keys, :], ops)
        score = score_charge(q[..., low:high, :], constant, k_terms, leak)
        seen = (age >= 0) & (age < spec.geometry.window)
        return row_charge(
            spec, charge_to_pulse(spec, score, ops) * seen, constant, v_terms, leak, ops
        )

    outs = []
    for low in range(0, tokens, rows):
        high = min(low + rows, tokens)
        out = torch.zeros_like(q[..., low:high, :])
        for tiles in subtiles(spec, low, high):
            total = sum(charge(low, high, tile.first) for tile in tiles)
            counts = count_pulses(spec, signed_charge_to_pulse(spec, total, ops), ops)
            out += counts.squeeze(-3)
        outs.append(out)
    return torch.cat(outs, dim=-2).flatten(-4, -3)
