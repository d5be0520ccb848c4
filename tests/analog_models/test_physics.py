import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analog_models import physics
from analog_models.attend import causal_attention
from analog_models.spec import load_preset
from common.errors import CodeError

SPEC = load_preset()


def transfer(v):
    """The published cubic, written out."""
    x = v - 0.45
    return 0.52136361 + 13.61226063 * x - 2.62044562 * x**2 + 46.05483778 * x**3


def test_a_fresh_cell_moves_the_published_charge():
    codes = np.arange(8.0)
    constant, terms = physics.cell_terms(SPEC, codes)
    expected = transfer(codes * 0.9 / 7)
    assert constant + sum(terms) == pytest.approx(expected, abs=1e-5)


def test_the_linear_model_is_a_straight_line_through_zero():
    spec = SPEC.linearised()
    constant, terms = physics.cell_terms(spec, np.arange(8.0))
    assert constant == 0 and len(terms) == 1
    assert terms[0] == pytest.approx(19.3 * (np.arange(8) * 0.9 / 7 - 0.45), abs=1e-6)


@pytest.mark.parametrize("convention", ["per_power", "whole_term"])
def test_leakage_of_a_cell(convention):
    spec = SPEC.replace(leakage__convention=convention, leakage__decay_per_token=1e-3)
    age = 700
    codes = np.arange(8.0)
    constant, terms = physics.cell_terms(spec, codes)
    leak = physics.leakage_factors(physics.leakage_table(spec, like=codes), np.array(age))
    charge = leak[0] * constant + sum(f * t for f, t in zip(leak[1:], terms, strict=True))
    v = codes * 0.9 / 7
    if convention == "per_power":
        expected = transfer(0.45 + (v - 0.45) * math.exp(-0.7))
    else:
        expected = transfer(v) * math.exp(-0.7)
    assert charge == pytest.approx(expected, abs=1e-5)


def test_the_hard_sigmoid():
    full = SPEC.converter.s_sat * SPEC.levels.q_max
    charge = np.array([-5.0, 0.0, full / 2, full, 2 * full])
    assert physics.charge_to_pulse(SPEC, charge).tolist() == [0, 0, 7500, 15000, 15000]


def test_the_signed_converter():
    full = SPEC.converter.a_sat * SPEC.converter.t_max_ps
    charge = np.array([-2 * full, -full / 3, 0.0, full / 3, 2 * full])
    expected = [-15000, -5000, 0, 5000, 15000]
    assert physics.signed_charge_to_pulse(SPEC, charge).tolist() == expected


@pytest.mark.parametrize(
    ("width_ps", "count"),
    [(0, 0), (499, 0), (500, 1), (1499, 1), (1500, 2), (14499, 14), (14500, 15), (15000, 15)],
)
def test_the_counting_rule_at_its_edges(width_ps, count):
    widths = np.array([width_ps, -width_ps], dtype=np.float64)
    assert physics.count_pulses(SPEC, widths).tolist() == [count, -count]


def test_counts_saturate():
    assert physics.count_pulses(SPEC, np.array([99e3, -99e3])).tolist() == [15, -15]


def codes(rng, spec, tokens):
    shape = (tokens, spec.geometry.head_dim)
    return [
        rng.integers(0, levels, shape).astype(np.float64)
        for levels in (spec.levels.q, spec.levels.kv, spec.levels.kv)
    ]


specs = st.builds(
    lambda dim, subtile, subtiles, a_sat, decay, convention, linear: (
        SPEC.linearised() if linear else SPEC
    ).replace(
        geometry__head_dim=dim,
        geometry__subtile=subtile,
        geometry__subtiles=subtiles,
        converter__s_sat=80.0 * dim / 64,
        converter__a_sat=a_sat,
        leakage__decay_per_token=decay,
        leakage__convention=convention,
    ),
    dim=st.integers(1, 12),
    subtile=st.integers(2, 9),
    subtiles=st.integers(1, 5),
    a_sat=st.floats(0.5, 40),
    decay=st.floats(0, 0.2),
    convention=st.sampled_from(["per_power", "whole_term"]),
    linear=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(spec=specs, seed=st.integers(0, 2**32))
def test_torch_equals_numpy_code_for_code(spec, seed):
    torch = pytest.importorskip("torch")
    q, k, v = codes(np.random.default_rng(seed), spec, spec.geometry.window)
    expected = causal_attention(spec, q, k, v)
    got = causal_attention(spec, *(torch.from_numpy(x) for x in (q, k, v)))
    assert np.array_equal(got.numpy(), expected)


def test_torch_equals_numpy_at_full_size():
    torch = pytest.importorskip("torch")
    q, k, v = codes(np.random.default_rng(5), SPEC, 1024)
    k = np.clip(np.round(k / 3 + 2.4), 0, 7)  # keys near the zero, so that scores do not saturate
    expected = causal_attention(SPEC, q, k, v)
    got = causal_attention(SPEC, *(torch.from_numpy(x) for x in (q, k, v)))
    assert np.array_equal(got.numpy(), expected)
    assert len(np.unique(expected)) > 20


def test_the_order_of_summation_does_not_matter():
    rng = np.random.default_rng(6)
    q, k, v = codes(rng, SPEC, 200)
    shuffle = rng.permutation(64)
    straight = causal_attention(SPEC, q, k, v)
    shuffled = causal_attention(SPEC, q[:, shuffle], k[:, shuffle], v[:, shuffle])
    assert np.array_equal(shuffled, straight[:, shuffle])


def test_shapes_that_do_not_fit_are_refused():
    q = np.zeros((3, 64))
    with pytest.raises(CodeError, match=r"need one shape \[..., T, 64\]"):
        causal_attention(SPEC, q, q, np.zeros((4, 64)))
    long = np.zeros((1025, 64))
    with pytest.raises(CodeError, match="sequence of 1025 tokens: allowed 1 to 1024"):
        causal_attention(SPEC, long, long, long)


@pytest.mark.parametrize("bad", [-1, 8, 2.5, float("nan")])
def test_a_bad_code_is_named(bad):
    array = np.zeros((2, 3))
    array[1, 2] = bad
    with pytest.raises(CodeError, match=rf"k\[1, 2\] = {bad}.*: allowed whole numbers 0 to 7"):
        physics.check_codes(array, 8, "k")
