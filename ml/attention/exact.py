"""The hardware's attention by the arithmetic of its plain definition, for any number of tokens.

It is computed for blocks of queries as long as a sub-tile, and one sub-tile of keys after the
other. Slot t mod M holds token t, so the sub-tile that is written while the queries come holds keys
of two laps: the new ones up to each query's own token, and behind them those of the lap before.
Counting is per sub-tile, so the charge of both laps adds before it is counted.
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from analog_models.attend import cells_of, counts_of, pulses_and_charge, written_v
from analog_models.physics import EXACT, Ops
from analog_models.spec import HardwareSpec
from analog_models.variation import checked_variation
from common.errors import CodeError


def check_inputs(spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raise `CodeError` unless q is [..., Hq, T, D], k and v [..., Hkv, T, D], Hq = g * Hkv.

    All on one device. Raises `SpecError` for a specification with imperfections:
    `ml.evaluate.imperfect` has those.
    """
    checked_variation(spec, None, None)
    dim = spec.geometry.head_dim
    fits = (
        q.dim() >= 3
        and k.shape == v.shape
        and q.shape[:-3] == k.shape[:-3]
        and q.shape[-2:] == k.shape[-2:]
        and q.shape[-3] % k.shape[-3] == 0
        and q.shape[-2] >= 1
        and q.shape[-1] == dim
    )
    if not fits:
        shapes = [tuple(x.shape) for x in (q, k, v)]
        raise CodeError(
            f"q, k, v have shapes {shapes}: need [..., Hq, T, {dim}] and twice "
            f"[..., Hkv, T, {dim}] with T at least 1 and Hq a multiple of Hkv"
        )
    if not q.device == k.device == v.device:
        devices = ", ".join(str(x.device) for x in (q, k, v))
        raise CodeError(f"q, k, v are on devices {devices}: need one")


def _subtiles(spec: HardwareSpec, low: int) -> list[list[int]]:
    """First keys of the sub-tiles that queries from token `low` on see, of one or two laps each."""
    rows, window = spec.geometry.subtile, spec.geometry.window
    older = [[first] for first in range(max(0, low - window + rows), low, rows)]
    return [*older, [low, low - window] if low >= window else [low]]


def exact_attention(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops = EXACT
) -> Tensor:
    """Output codes of sequences of any length that start with an empty window.

    q: [..., Hq, T, D] codes, k and v: [..., Hkv, T, D]; Hq = g * Hkv, and query heads i*g ...
    i*g + g - 1 share key and value head i. Returns [..., Hq, T, D]. In float64 equal, code for
    code, to `attend.causal_attention` and, when T exceeds the window, to stepping
    `head.GoldenHead`. Autograd would keep every tile: `fast_attention` is for training. Raises
    `CodeError` for shapes that do not fit, `SpecError` for imperfect hardware.
    """
    check_inputs(spec, q, k, v)
    tokens, rows = q.shape[-2], spec.geometry.subtile
    q = q.unflatten(-3, (k.shape[-3], -1))  # [..., Hkv, g, T, D]
    k, v = (pad(x, (0, 0, 0, -tokens % rows)).unsqueeze(-3) for x in (k, v))
    numbers = partial(torch.arange, device=q.device)
    cells = cells_of(spec, written_v(spec, k), written_v(spec, v), ops)

    def charge(low: int, high: int, first: int) -> Tensor:
        """Charge [..., 1, high - low, D] that the sub-tile of key `first` gives queries."""
        keys = slice(first, first + rows)
        age = numbers(low, high)[:, None] - numbers(keys.start, keys.stop)
        age = torch.where(age < spec.geometry.window, age, -1)
        return pulses_and_charge(spec, q[..., low:high, :], cells.slots(keys), age, ops)[1]

    outs = []
    for low in range(0, tokens, rows):
        high = min(low + rows, tokens)
        out = torch.zeros_like(q[..., low:high, :])
        for laps in _subtiles(spec, low):
            total, *others = (charge(low, high, first) for first in laps)
            out += counts_of(spec, sum(others, total), ops).squeeze(-3)
        outs.append(out)
    return torch.cat(outs, dim=-2).flatten(-4, -3)
