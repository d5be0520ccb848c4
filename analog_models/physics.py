"""The physics of one attention head as pure functions, the same for numpy and torch.

Codes are whole numbers in float arrays. A charge is in units of the cell transfer f(x), for a query
pulse counted in codes and for an activation pulse in ps, so that sums stay whole multiples of a
grid (`spec.grid`) and are exact in float64. `Ops` is what a caller may exchange: training keeps
these definitions and replaces only the gradients of rounding and clipping.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from array_api_compat import array_namespace, device

from analog_models.noise import RandomGenerator, with_noise
from analog_models.spec import HardwareSpec
from analog_models.variation import Spread
from common.errors import CodeError

__all__ = [
    "EXACT",
    "Array",
    "ExactOps",
    "Ops",
    "cell_terms",
    "charge_to_pulse",
    "check_codes",
    "count_pulses",
    "deviation_terms",
    "leakage_factors",
    "leakage_table",
    "row_charge",
    "score_charge",
    "seen_charge",
    "signed_charge_to_pulse",
    "written_deviation",
]

Array = Any  # a numpy.ndarray or a torch.Tensor


class Ops(Protocol):
    """The operations whose gradient a training run may want to replace."""

    def quantise(self, x: Array) -> Array:
        """The whole number nearest to `x`, halves up: every quantiser of the hardware."""
        ...

    def snap(self, x: Array, step: float) -> Array:
        """`x` on the arithmetic grid of the model, which is no part of the hardware."""
        ...

    def clip(self, x: Array, low: float, high: float) -> Array:
        """`x` limited to `low` ... `high`: every saturation of the hardware."""
        ...


class ExactOps:
    """The hardware as it is; with float64 arrays numpy and torch agree in every bit."""

    def quantise(self, x: Array) -> Array:
        return array_namespace(x).floor(x + 0.5)

    def snap(self, x: Array, step: float) -> Array:
        return (x / step).round() * step

    def clip(self, x: Array, low: float, high: float) -> Array:
        return x.clip(low, high)


EXACT = ExactOps()


def written_deviation(spec: HardwareSpec, codes: Array) -> Array:
    """Volts of freshly written cells from the leakage asymptote, codes of any shape."""
    return codes * spec.kv_step_v + (spec.imperfections.write_error_v - spec.leakage.asymptote_v)


def deviation_terms(
    spec: HardwareSpec,
    deviation_v: Array,
    ops: Ops = EXACT,
    cells: Sequence[Array] | None = None,
) -> tuple[float, list[Array]]:
    """Charge of cells by power of their deviation from the leakage asymptote, in volts.

    deviation_v: any shape. Returns the constant c_0 and, for i = 1 ..., arrays c_i * x^i of that
    shape, each on the charge grid (Leroux et al. 2025, Methods: cell transfer). With `cells`, their
    own coefficients as in `Variation`, a last array follows: what each has beside the constant.
    """
    coefficients = spec.cell_polynomial if cells is None else cells
    power, terms = 1.0, []
    for c in coefficients[1:]:
        power = power * deviation_v
        terms.append(ops.snap(power * c, spec.grid.charge))
    if cells is not None:
        terms.append(cells[0])
    return spec.cell_constant, terms


def cell_terms(
    spec: HardwareSpec,
    codes: Array,
    ops: Ops = EXACT,
    cells: Sequence[Array] | None = None,
    noise: RandomGenerator | None = None,
) -> tuple[float, list[Array]]:
    """`deviation_terms` of cells that are written with key or value codes, any shape.

    noise: where write noise comes from; without it there is none.
    """
    written_v = written_deviation(spec, codes)
    written_v = with_noise(written_v, spec.imperfections.write_sigma_v, noise)
    return deviation_terms(spec, written_v, ops, cells)


@lru_cache(maxsize=8)
def _decay(rates: tuple[float, ...], ages: int) -> list[list[float]]:
    return [[math.exp(-rate * age) for age in range(ages)] for rate in rates]


def leakage_table(spec: HardwareSpec, like: Array, own_constants: bool = False) -> Array:
    """Leakage factor of power i at each age, [power, age in tokens], up to a full window's age.

    Computed once in Python, so that all array libraries see the same values. like: an array that
    gives library, type and device. own_constants: power 0 is there once more at the end, for the
    last term of cells with coefficients of their own.
    """
    xp = array_namespace(like)
    leakage = spec.leakage
    per_power = leakage.convention == "per_power"
    powers = range(len(spec.cell_polynomial))
    rates = tuple(spec.decay_per_token * (i if per_power else 1) for i in powers)
    rates += rates[:1] if own_constants else ()
    table = _decay(rates, spec.geometry.window + 1)
    return xp.asarray(table, dtype=like.dtype, device=device(like))


def leakage_factors(table: Array, age: Array) -> Array:
    """Leakage factors of slots of that age in tokens, [power, *age.shape].

    Ages beyond the table's, which only slots outside the window have, count as its last.
    """
    return table[:, age.clip(0, table.shape[1] - 1)]


def score_charge(q: Array, constant: float, k_terms: Sequence[Array], leak: Array) -> Array:
    """S_j = sum_d q_d f(K_jd): charge integrated on each K column, in query codes times charge.

    q: [..., T, d] codes; k_terms: powers of [..., M, d]; leak: [power, ...] that broadcast
    to [..., T, M]. Returns [..., T, M] (Leroux et al. 2025, Fig. 1: first dot product).
    """
    xp = array_namespace(q)
    charge = leak[0] * (constant * xp.sum(q, axis=-1)[..., None])
    for factor, term in zip(leak[1:], k_terms, strict=True):
        charge = charge + factor * xp.matmul(q, xp.matrix_transpose(term))
    return charge


def charge_to_pulse(spec: HardwareSpec, charge: Array, ops: Ops = EXACT) -> Array:
    """phi(S) = T_max * clamp(S / S_sat, 0, 1), the HardSigmoid: pulse widths in ps.

    charge: what `score_charge` gives, any shape (Leroux et al. 2025, Eq. of the activation).
    """
    t_max = spec.converter.t_max_ps
    scale = t_max / (spec.levels.q_max * spec.converter.s_sat)
    return ops.snap(ops.clip(charge * scale, 0.0, t_max), spec.grid.t_ps)


def row_charge(
    spec: HardwareSpec,
    phi_ps: Array,
    constant: float,
    v_terms: Sequence[Array],
    leak: Array,
    ops: Ops = EXACT,
) -> Array:
    """A_d = sum_j phi_j f(V_jd), summed inside each sub-tile, in ps times charge.

    phi_ps: [..., T, M] pulse widths; v_terms: powers of [..., M, d]; leak: [power, ...] that
    broadcast to phi_ps. M is a multiple of the sub-tile. Returns [..., sub-tile, T, d] (Leroux et
    al. 2025, Fig. 1: second dot product).
    """
    xp = array_namespace(phi_ps)
    rows = spec.geometry.subtile

    def by_subtile(pulses: Array) -> Array:  # [..., T, M] -> [..., sub-tile, T, row]
        split = xp.reshape(pulses, (*pulses.shape[:-1], -1, rows))
        return xp.moveaxis(split, -2, -3)

    weighted = by_subtile(ops.snap(phi_ps * leak[0], spec.grid.pulse_ps))
    charge = constant * xp.sum(weighted, axis=-1)[..., None]
    for factor, term in zip(leak[1:], v_terms, strict=True):
        weighted = by_subtile(ops.snap(phi_ps * factor, spec.grid.pulse_ps))
        cells = xp.reshape(term, (*term.shape[:-2], -1, rows, term.shape[-1]))
        charge = charge + xp.matmul(weighted, cells)
    return charge


def signed_charge_to_pulse(spec: HardwareSpec, charge: Array, ops: Ops = EXACT) -> Array:
    """T_max * min(|A| / A_sat, 1) with the sign of A: signed pulse widths in ps, any shape."""
    xp = array_namespace(charge)
    t_max = spec.converter.t_max_ps
    width = ops.snap(ops.clip(xp.abs(charge) / spec.converter.a_sat, 0.0, t_max), spec.grid.t_ps)
    return xp.where(charge < 0, -width, width)


def count_pulses(spec: HardwareSpec, signed_width_ps: Array, ops: Ops = EXACT) -> Array:
    """The counting rule: count = min(count_max, floor(w / T_clk + 1/2)), with the pulse's sign.

    The converter starts its pulse half a clock before the first counting edge, and a pulse that
    ends on an edge is counted there. Any shape.
    """
    xp = array_namespace(signed_width_ps)
    width = xp.abs(signed_width_ps) / spec.clock.t_clk_ps
    count = ops.clip(ops.quantise(width), 0.0, spec.levels.count_max)
    return xp.where(signed_width_ps < 0, -count, count)


def seen_charge(
    charge: Array,
    spread: Spread | None = None,
    sigma: float = 0.0,
    noise: RandomGenerator | None = None,
) -> Array:
    """Charge as a converter takes it: with its gain, its offset and the noise of reading.

    spread: what broadcasts to `charge`; sigma: `noise.score_sigma` or `noise.row_sigma`.
    """
    if spread is not None:
        charge = charge * spread.gain + spread.offset
    return with_noise(charge, sigma, noise)


def check_codes(codes: Array, levels: int, name: str) -> None:
    """Raise `CodeError` unless every entry is a whole number in 0 ... levels - 1."""
    xp = array_namespace(codes)
    good = (codes >= 0) & (codes <= levels - 1)
    if not xp.isdtype(codes.dtype, "integral"):
        good = good & (xp.floor(codes) == codes)
    if not bool(xp.all(good)):
        where = tuple(int(i[0]) for i in xp.nonzero(~good))
        value = codes[where].item()
        raise CodeError(f"{name}{list(where)} = {value}: allowed whole numbers 0 to {levels - 1}")
