"""The published attention of one head, restated in plain numpy and float64.

Written from the paper (Leroux et al., Nat. Comput. Sci. 5, 813-824, 2025, Methods) and the authors'
public code (GainCellAttention). It imports nothing of this project, and its constants are written
out, so that it fails with the project, not with it. Every convention is a field: a test that
changes one must see a difference.

Codes in: q [T, D] in 0 ... 15, k and v [T, D] in 0 ... 7. age(t, j) = t - j.

    S(t, j)    = sum_i a_i e(i, age) sum_d q(t, d) x_K(j, d)^i
    phi(t, j)  = clamp(S / 80, 0, 1) for j <= t, else 0
    A(n, t, d) = sum_i a_i sum_{j in sub-tile n} phi(t, j) e(i, age) x_V(j, d)^i
    out(t, d)  = sum_n quantise(clamp(A / 40, -1, 1))

with a_i = sum_j C_ij 0.9^j and e(i, age) = exp(-i lambda age). The linear cell has a = (0, 19.3).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

# C_ij, row i: i = 0 ... 3, j = 0 ... 3 - i.
TRANSFER = (
    (0.17393044, 0.15653739, 0.14088365, 0.12679529),
    (5.51975209, 4.96777688, 4.4709992),
    (-1.44776001, -1.30298401),
    (46.05483778,),
)
LINEAR = (0.0, 19.3)


def cubic(transfer: tuple[tuple[float, ...], ...] = TRANSFER, v_max: float = 0.9) -> tuple:
    """Coefficients a_i of the cubic cell."""
    return tuple(sum(c * v_max**j for j, c in enumerate(row)) for row in transfer)


@dataclass(frozen=True)
class Published:
    """The published conventions, one a field. `replace` one to see what it decides."""

    cell: tuple[float, ...] = cubic()
    decay: float = 1.6e-4  # per token
    whole_term: bool = False  # the older convention: every power of a cell decays alike
    value_leaks: bool = True
    first_age: int = 0  # of a token that attends to itself
    q_levels: int = 15  # steps of a query pulse
    kv_step_v: float = 0.9 / 7
    v_zero_v: float = 0.45
    s_sat: float = 80.0
    a_sat: float = 40.0
    subtile: int = 64
    first_row: int = 0  # of sub-tile 0
    window: int = 1024
    laps_apart: bool = False  # as the authors' code has it behind the window
    steps: float = 15.0  # of a read-out; the authors' code has 15.5
    half_up: float = 0.5  # 0 would cut off
    one_read_out: bool = False  # of the sum of all sub-tiles, as the flash variants have it


PER_POWER = Published()
WHOLE_TERM = Published(decay=1e-4, whole_term=True)


class Signals(NamedTuple):
    """What a head does: x_k and x_v [T, D] in volts, leak [power, T, T], score S [T, T], pulses phi
    [T, T], and for each sub-tile the charge A [n, T, D] and which tokens it holds [n, T].
    """

    q: Reals
    x_k: Reals
    x_v: Reals
    leak: Reals
    visible: NDArray[np.bool_]
    score: Reals
    phi: Reals
    charge: Reals
    holds: NDArray[np.bool_]


def signals(p: Published, q: Reals, k: Reals, v: Reals) -> Signals:
    """All that happens before the read-out, for codes [T, D]."""
    tokens = np.arange(len(q))
    age = tokens[:, None] - tokens[None, :]
    visible = (age >= 0) & (age < p.window)
    aged = np.where(visible, age + p.first_age, 0)
    leak = np.stack(
        [
            np.exp(-(1 if p.whole_term else i) * p.decay * aged.astype(float))
            for i in range(len(p.cell))
        ]
    )
    q = q / p.q_levels
    x_k, x_v = (codes * p.kv_step_v - p.v_zero_v for codes in (k, v))
    score = np.zeros(age.shape)
    for i, a in enumerate(p.cell):
        score += a * leak[i] * (q @ (x_k**i).T)
    phi = np.where(visible, np.clip(score / p.s_sat, 0.0, 1.0), 0.0)
    slot = tokens if p.laps_apart else tokens % p.window
    tile = (slot - p.first_row) // p.subtile
    holds = np.arange(tile.min(), tile.max() + 1)[:, None] == tile
    leak_v = leak if p.value_leaks else np.ones_like(leak)
    charge = np.stack(
        [
            sum(a * ((phi * leak_v[i])[:, rows] @ (x_v[rows] ** i)) for i, a in enumerate(p.cell))
            for rows in holds
        ]
    )
    return Signals(q, x_k, x_v, leak, visible, score, phi, charge, holds)


def read_out(p: Published, charge: Reals) -> Reals:
    """Counts [n, T, D] of charges: the nearest step of a signed range, halves away from zero."""
    width = p.steps * np.minimum(np.abs(charge) / p.a_sat, 1.0)
    return np.sign(charge) * np.floor(width + p.half_up)


def counts(p: Published, q: Reals, k: Reals, v: Reals) -> Reals:
    """Output codes [T, D]."""
    charge = signals(p, q, k, v).charge
    if p.one_read_out:
        charge = charge.sum(0, keepdims=True)
    return read_out(p, charge).sum(0)


def from_a_boundary(p: Published, charge: Reals) -> Reals:
    """How far each charge is from where its count changes, in counts; infinite where clamped."""
    width = p.steps * np.abs(charge) / p.a_sat
    return np.where(width < p.steps, np.abs(width - np.floor(width) - 0.5), np.inf)


def gradients(
    p: Published,
    codes: tuple[Reals, Reals, Reals],
    weights: Reals,
    outside: float = 0.0,
    at_nothing: float = 1.0,
    slope: tuple[float, ...] | None = None,
) -> tuple[Reals, Reals, Reals]:
    """Gradients of sum(weights * counts) by the codes q, k, v, straight through the rounding.

    outside: slope of a clamp outside its range; at_nothing: of the read-out where the charge of a
    row is exactly 0, which has no sign. slope: the cell whose charge and derivative the
    backward pass takes, where that is not the cell itself: the authors take the linear one.
    """
    s = signals(p, *codes)
    cell = p.cell if slope is None else slope
    leak = s.leak
    clamped = np.where(np.abs(s.charge) <= p.a_sat, 1.0, outside)
    clamped = np.where(s.charge == 0, at_nothing, clamped)
    d_charge = weights * p.steps / p.a_sat * clamped
    d_phi, d_x_v = np.zeros_like(s.phi), np.zeros_like(s.x_v)
    for rows, gradient in zip(s.holds, d_charge, strict=True):
        for i, a in enumerate(cell):
            d_phi[:, rows] += a * leak[i][:, rows] * (gradient @ (s.x_v[rows] ** i).T)
            if i:
                pulled = (s.phi * leak[i])[:, rows].T @ gradient
                d_x_v[rows] += a * i * s.x_v[rows] ** (i - 1) * pulled
    inside = np.where((s.score >= 0) & (s.score <= p.s_sat), 1.0, outside)
    d_score = np.where(s.visible, d_phi * inside / p.s_sat, 0.0)
    d_q, d_x_k = np.zeros_like(s.q), np.zeros_like(s.x_k)
    for i, a in enumerate(cell):
        d_q += a * (d_score * leak[i]) @ (s.x_k**i)
        if i:
            d_x_k += a * i * s.x_k ** (i - 1) * ((d_score * leak[i]).T @ s.q)
    return d_q / p.q_levels, d_x_k * p.kv_step_v, d_x_v * p.kv_step_v
