"""The chain of attention on arrays: score, pulse, row charge, pulse, count. It stands here once.

Whoever uses it says which slots a query sees, and how long ago each of them was written: its age in
tokens, negative where a slot is not seen. The order of slots is free, as long as those of a
sub-tile lie together. Equal for numpy and torch.
"""

from typing import NamedTuple

from array_api_compat import array_namespace, device

from analog_models.noise import RandomGenerator, row_sigma, score_sigma, with_noise
from analog_models.physics import (
    EXACT,
    Array,
    Ops,
    charge_to_pulse,
    count_pulses,
    deviation_terms,
    leakage_factors,
    leakage_table,
    row_charge,
    score_charge,
    seen_charge,
    signed_charge_to_pulse,
    written_deviation,
)
from analog_models.spec import HardwareSpec
from analog_models.variation import Spread, Variation, checked_variation
from common.errors import CodeError

__all__ = [
    "Cells",
    "activation_ps",
    "attend",
    "causal_attention",
    "cells_of",
    "counts_of",
    "output_ps",
    "pulses_and_charge",
    "written_v",
]


class Cells(NamedTuple):
    """What the written cells of both arrays charge.

    Attributes:
        constant: of every cell, even one never written.
        k_terms, v_terms: powers of [..., slot, d], as `physics.deviation_terms` gives them.
        leakage: [power, age] the factor that is left of each, as `physics.leakage_table` gives it.
    """

    constant: float
    k_terms: list[Array]
    v_terms: list[Array]
    leakage: Array

    def slots(self, chosen: slice) -> "Cells":
        """Those of some slots."""
        k_terms, v_terms = ([x[..., chosen, :] for x in terms] for terms in self[1:3])
        return self._replace(k_terms=k_terms, v_terms=v_terms)


def written_v(spec: HardwareSpec, codes: Array, noise: RandomGenerator | None = None) -> Array:
    """Volts from the leakage asymptote of cells written with codes, any shape.

    noise: where write noise comes from; without it there is none.
    """
    return with_noise(written_deviation(spec, codes), spec.imperfections.write_sigma_v, noise)


def cells_of(
    spec: HardwareSpec,
    keys_v: Array,
    values_v: Array,
    ops: Ops = EXACT,
    variation: Variation | None = None,
) -> Cells:
    """Cells that were written to these volts [..., slot, d], see `written_v`."""
    variation = variation or Variation()
    constant, k_terms = deviation_terms(spec, keys_v, ops, variation.k_cells)
    _, v_terms = deviation_terms(spec, values_v, ops, variation.v_cells)
    own = variation.k_cells is not None
    return Cells(constant, k_terms, v_terms, leakage_table(spec, like=keys_v, own_constants=own))


def activation_ps(
    spec: HardwareSpec,
    score: Array,
    ops: Ops = EXACT,
    phi: Spread | None = None,
    noise: RandomGenerator | None = None,
) -> Array:
    """Widths in ps of the activation pulses for charges of the K columns, any shape.

    phi: gain and offset of their converters; noise: where the noise of reading comes from.
    """
    sigma = 0.0 if noise is None else score_sigma(spec)
    return charge_to_pulse(spec, seen_charge(score, phi, sigma, noise), ops)


def output_ps(
    spec: HardwareSpec,
    charge: Array,
    ops: Ops = EXACT,
    out: Spread | None = None,
    noise: RandomGenerator | None = None,
) -> Array:
    """Signed widths in ps of the output pulses for charges of the V columns, any shape."""
    sigma = 0.0 if noise is None else row_sigma(spec)
    return signed_charge_to_pulse(spec, seen_charge(charge, out, sigma, noise), ops)


def pulses_and_charge(
    spec: HardwareSpec,
    q: Array,
    cells: Cells,
    age: Array,
    ops: Ops = EXACT,
    phi: Spread | None = None,
    noise: RandomGenerator | None = None,
) -> tuple[Array, Array]:
    """Widths in ps of the pulses on the V rows [..., T, slot], and charge [..., sub-tile, T, d].

    q: [..., T, d] codes. age: whole numbers that broadcast to [..., T, slot], negative where a slot
    is not seen.
    """
    leak = leakage_factors(cells.leakage, age)
    score = score_charge(q, cells.constant, cells.k_terms, leak)
    phi_ps = activation_ps(spec, score, ops, phi, noise) * (age >= 0)
    return phi_ps, row_charge(spec, phi_ps, cells.constant, cells.v_terms, leak, ops)


def counts_of(
    spec: HardwareSpec,
    charge: Array,
    ops: Ops = EXACT,
    out: Spread | None = None,
    noise: RandomGenerator | None = None,
) -> Array:
    """Signed counts for charges of the V columns, any shape."""
    return count_pulses(spec, output_ps(spec, charge, ops, out, noise), ops)


def attend(
    spec: HardwareSpec,
    q: Array,
    k: Array,
    v: Array,
    age: Array,
    *,
    ops: Ops = EXACT,
    variation: Variation | None = None,
    noise: RandomGenerator | None = None,
) -> Array:
    """Output codes [..., T, d]: the sum over sub-tiles of signed counts.

    q: [..., T, d], k and v: [..., slot, d] codes, whole sub-tiles of slots from slot 0 on. age:
    broadcasts to [..., T, slot], negative where a slot is not seen. A specification with
    imperfections needs `variation`, whose leading axes broadcast to those of q, and, if it has
    noise, a generator as `noise`; else `SpecError`.
    """
    xp = array_namespace(q)
    drawn = checked_variation(spec, variation, noise).of_slots(k.shape[-2])
    keys_v, values_v = (written_v(spec, codes, noise) for codes in (k, v))
    cells = cells_of(spec, keys_v, values_v, ops, drawn)
    _, charge = pulses_and_charge(spec, q, cells, age, ops, drawn.phi, noise)
    if row_sigma(spec) or drawn.out is not None:
        charge = _all_subtiles(spec, charge)
    return xp.sum(counts_of(spec, charge, ops, drawn.out, noise), axis=-3)


def causal_attention(
    spec: HardwareSpec,
    q: Array,
    k: Array,
    v: Array,
    ops: Ops = EXACT,
    variation: Variation | None = None,
    noise: RandomGenerator | None = None,
) -> Array:
    """Output codes of a whole sequence that starts with an empty window, all tokens at once.

    q, k, v: [..., T, d] codes with T at most the window. Returns [..., T, d], the sum over
    sub-tiles of signed counts. Equal, code for code, to stepping `head.GoldenHead` when the arrays
    are float64 and `ops` is `EXACT`. Leading axes of length 1 of k and v are shared: queries
    [Hkv, g, T, d] on keys and values [Hkv, 1, T, d] are g query heads on one pair of arrays, which
    is written once. Raises `CodeError` for shapes that do not fit.

    A specification with imperfections needs `variation`, whose leading axes broadcast to those of
    q, and, if it has noise, a generator as `noise`; else `SpecError`. The noise is then drawn in
    another order than a head token by token draws it: equal in distribution, not in every code.
    """
    xp = array_namespace(q)
    tokens, dim = q.shape[-2:]
    _check_sequence(spec, q, k, v)
    spare = -tokens % spec.geometry.subtile
    if spare:
        empty = xp.zeros((*k.shape[:-2], spare, dim), dtype=k.dtype, device=device(k))
        k, v = xp.concat([k, empty], axis=-2), xp.concat([v, empty], axis=-2)
    token = xp.arange(tokens, device=device(q))[:, None]
    age = token - xp.arange(tokens + spare, device=device(q))
    return attend(spec, q, k, v, age, ops=ops, variation=variation, noise=noise)


def _check_sequence(spec: HardwareSpec, q: Array, k: Array, v: Array) -> None:
    """Raise `CodeError` for shapes that do not fit each other or the window."""
    tokens, dim = q.shape[-2:]
    geometry = spec.geometry
    shared = len(q.shape) == len(k.shape) and all(
        n in (1, of) for n, of in zip(k.shape[:-2], q.shape[:-2], strict=True)
    )
    fits = shared and k.shape == v.shape and k.shape[-2:] == q.shape[-2:]
    if not (fits and dim == geometry.head_dim):
        shapes = [tuple(x.shape) for x in (q, k, v)]
        raise CodeError(
            f"q, k, v have shapes {shapes}: need one shape [..., T, {geometry.head_dim}]; leading "
            "axes of k and v may be 1"
        )
    if not 1 <= tokens <= geometry.window:
        raise CodeError(f"sequence of {tokens} tokens: allowed 1 to {geometry.window}, the window")


def _all_subtiles(spec: HardwareSpec, charge: Array) -> Array:
    """Charges [..., sub-tile, T, d] with those of the sub-tiles in which nothing is written yet.

    They integrate nothing, but their converters have offset and noise as well.
    """
    xp = array_namespace(charge)
    *front, used, tokens, dim = charge.shape
    shape = (*front, spec.geometry.subtiles - used, tokens, dim)
    unused = xp.zeros(shape, dtype=charge.dtype, device=device(charge))
    return xp.concat([charge, unused], axis=-3)
