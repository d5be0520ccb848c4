"""What is drawn for a head once: its statistics, and that a cell does what its coefficients say."""

import math

import numpy as np
import pytest

from analog_models.physics import deviation_terms, leakage_factors, leakage_table, written_deviation
from analog_models.spec import load_preset
from analog_models.variation import Variation, checked_variation, head_variation, head_variations
from common.errors import SpecError
from tests.analog_models.imperfect import FIXED, IMPERFECT, SMALL, with_imperfections

SPEC = load_preset()


def transfer(v):
    return sum(c * (v - 0.45) ** i for i, c in enumerate(SPEC.cell.polynomial))


def cell_charge(spec, cells, codes, age):
    """Charge [slot, d] per unit of pulse of cells written with `codes`, some tokens ago."""
    constant, terms = deviation_terms(spec, written_deviation(spec, codes), cells=cells)
    table = leakage_table(spec, like=codes, own_constants=True)
    leak = leakage_factors(table, np.array(age))
    return leak[0] * constant + sum(f * t for f, t in zip(leak[1:], terms, strict=True))


def test_an_ideal_head_has_nothing_drawn():
    assert head_variation(SPEC, 0) == Variation()


@pytest.mark.parametrize(("age", "factor"), [(0, 1.0), (300, math.exp(-0.3))])
def test_a_cell_has_its_own_gain_and_threshold(age, factor):
    spec = with_imperfections(SPEC, mismatch_gain=0.05, mismatch_offset_v=0.02).replace(
        leakage__decay_per_token=1e-3, imperfections__write_error_v=0.01
    )
    cells = head_variation(spec, 0).k_cells
    assert cells is not None
    codes = np.full((1024, 64), 6.0)
    got = cell_charge(spec, cells, codes, age)
    gain_only = head_variation(spec.replace(imperfections__mismatch_offset_v=0.0), 0).k_cells
    assert gain_only is not None
    gain = gain_only[1] / spec.cell_polynomial[1]
    # Each quantity has a stream of its own, so a doubled threshold spread doubles each deviation.
    linear = spec.linearised()
    alone = linear.replace(imperfections__mismatch_gain=0.0)
    shift = head_variation(alone, 0).k_cells
    assert shift is not None
    delta = shift[0] / 19.3
    stored_v = 0.45 + (6 * 0.9 / 7 + 0.01 - 0.45) * factor
    assert np.allclose(got, gain * transfer(stored_v + delta), atol=1e-4)
    assert gain.std() == pytest.approx(0.05, rel=0.02) and gain.mean() == pytest.approx(1, abs=1e-3)
    assert delta.std() == pytest.approx(0.02, rel=0.02) and abs(delta.mean()) < 3e-4


def test_a_size_only_scales_what_is_drawn():
    once, twice = (
        head_variation(with_imperfections(SMALL, mismatch_gain=size, phi_gain=size), 3)
        for size in (0.01, 0.02)
    )
    assert once.k_cells and twice.k_cells and once.phi and twice.phi
    nominal = SMALL.cell_polynomial[2]
    assert np.allclose((twice.k_cells[2] - nominal), 2 * (once.k_cells[2] - nominal))
    assert np.allclose(twice.phi.gain - 1, 2 * (once.phi.gain - 1))


def test_a_stuck_cell_ignores_what_is_written_and_does_not_leak():
    spec = with_imperfections(SPEC, stuck_fraction=0.2, stuck_level=5)
    cells = head_variation(spec, 0).v_cells
    assert cells is not None
    stuck = cells[1] == 0
    assert stuck.mean() == pytest.approx(0.2, abs=0.01)
    for level, age in ((0.0, 0), (7.0, 1000)):
        charge = cell_charge(spec, cells, np.full((1024, 64), level), age)
        assert np.allclose(charge[stuck], transfer(5 * 0.9 / 7), atol=1e-5)
        fresh = transfer(0.45 + (level * 0.9 / 7 - 0.45) * math.exp(-1.6e-4 * age))
        assert np.allclose(charge[~stuck], fresh, atol=1e-5)


def test_ir_drop_grows_along_rows_and_columns_and_starts_anew_in_each_array():
    spec = with_imperfections(SMALL, ir_drop_row=0.1, ir_drop_column=0.3)
    drawn = head_variation(spec, 0)
    assert drawn.k_cells and drawn.v_cells
    k, v = (cells[1] / spec.cell_polynomial[1] for cells in (drawn.k_cells, drawn.v_cells))
    assert k[3, 2] == k[7, 5] == v[3, 2] == v[11, 5] == pytest.approx(0.9 * 0.7)  # far corners
    assert k[3, 0] == pytest.approx(0.9 * (1 - 0.3 * (1 / 3) * (2 - 1 / 3)))
    assert v[0, 2] == pytest.approx(0.9 * (1 - 0.3 * (1 / 4) * (2 - 1 / 4)))
    for gain in (k, v):
        assert (np.diff(gain[:4], axis=0) < 0).all() and (np.diff(gain[:, :3], axis=1) < 0).all()
        assert np.array_equal(gain[:4, :3], gain[8:, 3:])


def test_converters_have_a_gain_and_an_offset_in_their_charge():
    spec = with_imperfections(SPEC, phi_gain=0.02, phi_offset=0.4, out_gain=0.03, out_offset=0.2)
    drawn = head_variation(spec, 0)
    assert drawn.phi and drawn.out and drawn.k_cells is None
    assert drawn.phi.gain.shape == (1024,) and drawn.out.gain.shape == (16, 64)
    sizes = [x.std() for x in (*drawn.phi, *drawn.out)]
    assert sizes == pytest.approx([0.02, 0.4 * 15, 0.03, 0.2 * 15000], rel=0.1)


def test_each_number_is_another_head_the_same_alone_and_in_company():
    both = head_variations(IMPERFECT, [4, 5], np.zeros(()))
    four, five = head_variation(IMPERFECT, 4), head_variation(IMPERFECT, 5)
    assert both.k_cells and four.k_cells and five.k_cells and both.out and five.out
    assert np.array_equal(both.k_cells[0][0], four.k_cells[0])
    assert np.array_equal(both.k_cells[2][1], five.k_cells[2])
    assert np.array_equal(both.out.offset[1], five.out.offset)
    assert not np.array_equal(four.k_cells[1], five.k_cells[1])
    other = head_variation(IMPERFECT.replace(imperfections__device_seed=1), 4)
    assert other.k_cells and not np.array_equal(other.k_cells[1], four.k_cells[1])


def test_torch_gets_the_same_heads():
    torch = pytest.importorskip("torch")
    ours = head_variations(IMPERFECT, [0, 1], np.zeros(()))
    theirs = head_variations(IMPERFECT, [0, 1], torch.zeros((), dtype=torch.float64))
    assert ours.v_cells and theirs.v_cells
    for a, b in zip(ours.v_cells, theirs.v_cells, strict=True):
        assert np.array_equal(a, b.numpy())
    single = head_variations(IMPERFECT, [0], torch.zeros(()))
    assert single.phi and single.phi.gain.dtype == torch.float32


def test_imperfections_that_nobody_drew_are_an_error():
    with pytest.raises(SpecError, match="'small-typical' has imperfections: give the head's varia"):
        checked_variation(FIXED, None, None)
    with pytest.raises(SpecError, match="'small-typical' has noise: give a random generator"):
        checked_variation(IMPERFECT, head_variation(IMPERFECT, 0), None)
    assert checked_variation(IMPERFECT.ideal, None, None) == Variation()
