"""The arrays of one token at a time against the physics of whole sequences, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analog_models.array import KeyArray, ValueArray
from analog_models.physics import (
    cell_terms,
    leakage_factors,
    leakage_table,
    row_charge,
    score_charge,
)
from analog_models.spec import load_preset
from common.errors import SpecError

SPEC = load_preset()
TRANSFERS = {
    "published": SPEC.cell.transfer,
    "constant": ((0.7,),),
    "linear": ((0.0,), (19.3,)),
    "quintic": ((0.5,), (13.6,), (-2.6,), (46.1,), (3.3,), (-7.9,)),
}
specs = st.builds(
    lambda dim, subtile, subtiles, levels, transfer, convention, decay: SPEC.replace(
        geometry__head_dim=dim,
        geometry__subtile=subtile,
        geometry__subtiles=subtiles,
        levels__kv=levels,
        cell__transfer=TRANSFERS[transfer],
        leakage__convention=convention,
        leakage__decay_per_token=decay,
    ),
    dim=st.sampled_from([1, 5, 64, 128]),
    subtile=st.integers(2, 9),
    subtiles=st.integers(1, 4),
    levels=st.sampled_from([2, 3, 8, 16]),
    transfer=st.sampled_from(sorted(TRANSFERS)),
    convention=st.sampled_from(["per_power", "whole_term"]),
    decay=st.floats(0, 0.2),
)


def written(array, slots_and_tokens, rng):
    """Write random codes; return what each slot holds and when it was written."""
    geometry = array.spec.geometry
    codes = np.zeros((geometry.window, geometry.head_dim))
    at = np.full(geometry.window, -geometry.window)
    for slot, token in slots_and_tokens:
        codes[slot] = rng.integers(0, array.spec.levels.kv, geometry.head_dim)
        at[slot] = token
        array.write(slot, codes[slot].astype(np.int64), token)
    return codes, at


def reference_terms(spec, codes, at, now):
    """The constant, the terms of all cells, 0 where nothing was written, and leakage factors."""
    constant, terms = cell_terms(spec, codes)
    for term in terms:
        term[at < 0] = 0.0
    return constant, terms, leakage_factors(leakage_table(spec, like=codes), now - at)


@settings(max_examples=100, deadline=None)
@given(spec=specs, seed=st.integers(0, 2**32), data=st.data())
def test_both_arrays_equal_the_physics_bit_for_bit(spec, seed, data):
    rng, window = np.random.default_rng(seed), spec.geometry.window
    slots = data.draw(st.lists(st.integers(0, window - 1), max_size=2 * window))
    writes = list(zip(slots, range(len(slots)), strict=True))
    now = len(slots) + data.draw(st.integers(0, 2 * window))
    k_array, v_array = KeyArray(spec), ValueArray(spec)
    k = reference_terms(spec, *written(k_array, writes, rng), now)
    v = reference_terms(spec, *written(v_array, writes, rng), now)
    q = rng.integers(0, spec.levels.q, spec.geometry.head_dim).astype(np.float64)
    assert np.array_equal(k_array.charge(q, now), score_charge(q[None], *k)[0])
    phi_ps = rng.integers(0, spec.converter.t_max_ps + 1, window) * rng.integers(0, 2, window)
    charge = v_array.charge(phi_ps.astype(np.float64), now)
    expected = row_charge(spec, phi_ps[None].astype(np.float64), *v)[:, 0]
    assert np.array_equal(charge, np.broadcast_to(expected, charge.shape))  # a constant has no d


def test_the_largest_charges_are_exact():
    """Full pulses on full cells: where sums come closest to 2^53 steps of their grid."""
    q = np.full(64, 15.0)
    phi_ps = np.full(1024, float(SPEC.converter.t_max_ps))
    for level in (0, 7):
        k_array, v_array = KeyArray(SPEC), ValueArray(SPEC)
        for slot in range(1024):
            k_array.write(slot, np.full(64, level), 0)
            v_array.write(slot, np.full(64, level), 0)
        constant, terms = cell_terms(SPEC, np.array([float(level)]))
        charge = [int(c / SPEC.grid.charge) for c in (constant, *(t[0] for t in terms))]
        assert k_array.charge(q, 0).tolist() == [sum(charge) * 64 * 15 * SPEC.grid.charge] * 1024
        row = sum(charge) * 64 * SPEC.converter.t_max_ps * SPEC.grid.charge
        assert np.unique(v_array.charge(phi_ps, 0)).tolist() == [row]


def test_a_specification_whose_powers_together_are_inexact_is_refused():
    with pytest.raises(SpecError, match=r"charge_bits = 24: allowed 8 to 23, to stay exact"):
        SPEC.replace(grid__charge_bits=24)
