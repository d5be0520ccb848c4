"""Gradients of the codes: the published ones for the linear cell, the derivative for the cubic.

The authors pass the gradient straight through rounding, and none of it through a clamp outside its
range, where we pass a twentieth. For the cubic cell they take the linear one's.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ml.attention import fast as fast_module
from ml.attention import surrogate
from ml.attention.exact import exact_attention
from ml.attention.surrogate import CLIP_LEAK, SurrogateOps
from tests.publication import oracle
from tests.publication.cases import CASES, lively_codes, on_grid, published, specification, tensors

TOKENS = 320  # five sub-tiles
PRECISION = 1e-12  # of the largest gradient; measured: 8e-16 to 2e-15


@pytest.fixture
def nothing_outside(monkeypatch):
    """The published clamp: no gradient outside its range."""
    monkeypatch.setattr(surrogate, "CLIP_LEAK", 0.0)
    monkeypatch.setattr(fast_module, "CLIP_LEAK", 0.0)
    monkeypatch.setattr(fast_module, "plan_of", fast_module.Plan)  # kept plans have the leak


def weights() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(TOKENS, 64))


def found_gradients(name: str, case: str) -> list[np.ndarray]:
    """Gradients of q, k, v by one of our attentions, [T, 64] each."""
    codes = [x.requires_grad_() for x in tensors(lively_codes(TOKENS))]
    spec = specification(case)
    if name == "fast_attention":
        out = fast_module.fast_attention(spec, codes[0], codes[1], codes[2])
    else:
        out = exact_attention(spec, codes[0], codes[1], codes[2], SurrogateOps())
    (out[0] * torch.from_numpy(weights())).sum().backward()
    return [np.asarray(x.grad)[0] for x in codes]


def published_gradients(case: str, **options) -> tuple[np.ndarray, ...]:
    """Of the oracle, the constant charge of a cell as we have it: it tells 2e-7 of a gradient."""
    return oracle.gradients(on_grid(published(case)), lively_codes(TOKENS), weights(), **options)


def largest_error(found, wanted) -> float:
    """Of q, k and v, each relative to its largest gradient."""
    pairs = zip(found, wanted, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


@pytest.mark.parametrize("name", ["fast_attention", "exact_attention"])
@pytest.mark.parametrize("case", [case for case in CASES if "linear" in case])
def test_gradients_of_the_linear_cell_are_the_published_ones(case, name, nothing_outside):
    error = largest_error(found_gradients(name, case), published_gradients(case))
    assert error < PRECISION


@pytest.mark.parametrize("name", ["fast_attention", "exact_attention"])
def test_outside_their_range_our_clamps_pass_a_twentieth(name):
    found = found_gradients(name, "linear")
    wanted = published_gradients("linear", outside=CLIP_LEAK, at_nothing=0.0)
    assert largest_error(found, wanted) < PRECISION
    assert largest_error(found, published_gradients("linear")) > 0.01


@pytest.mark.parametrize("name", ["fast_attention", "exact_attention"])
@pytest.mark.parametrize("case", ["cubic", "cubic, whole term"])
def test_gradients_of_the_cubic_cell_are_its_derivative(case, name, nothing_outside):
    assert largest_error(found_gradients(name, case), published_gradients(case)) < PRECISION


def test_the_published_gradient_of_the_cubic_cell_is_the_linear_cell_s():
    """It points nearly where the derivative does."""
    ours = published_gradients("cubic")
    theirs = published_gradients("cubic", slope=oracle.LINEAR)
    cosines = [
        float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
        for a, b in zip(ours, theirs, strict=True)
    ]
    assert all(0.9 < cosine < 0.99 for cosine in cosines), cosines


WRONG = {
    "slope of the cell": {"cell": (0.0, 19.5)},
    "leakage": {"decay": 1.5e-4},
    "no leakage of values": {"value_leaks": False},
    "age off by one": {"first_age": 1},
    "full scale of a score": {"s_sat": 79.0},
    "full scale of a row": {"a_sat": 39.0},
    "sub-tile off by one": {"first_row": 1},
    "steps of the read-out": {"steps": 15.5},
    "steps of keys and values": {"kv_step_v": 0.9 / 8},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_a_wrong_convention_shows_in_the_gradients(wrong, nothing_outside):
    p = replace(published("linear"), **wrong)
    wanted = oracle.gradients(p, lively_codes(TOKENS), weights())
    assert largest_error(found_gradients("fast_attention", "linear"), wanted) > 1e-4


@pytest.mark.parametrize("case", ["cubic", "linear"])
def test_the_oracle_s_gradient_is_the_slope_of_its_charge(case):
    """Finite differences of the charge in counts, clamped and not rounded."""
    p, codes, step = published(case), lively_codes(70), 1e-5
    factors = weights()[:70]

    def value(*inputs: np.ndarray) -> float:
        charge = oracle.signals(p, *inputs).charge
        return float((factors * np.clip(charge / p.a_sat, -1, 1) * p.steps).sum())

    found = oracle.gradients(p, codes, factors)
    for signal, (t, d) in ((0, (66, 5)), (1, (64, 7)), (1, (3, 9)), (2, (2, 11)), (2, (65, 0))):
        moved = [[x.copy() for x in codes] for _ in range(2)]
        for inputs, way in zip(moved, (step, -step), strict=True):
            inputs[signal][t, d] += way
        slope = (value(*moved[0]) - value(*moved[1])) / (2 * step)
        assert found[signal][t, d] == pytest.approx(slope, rel=1e-6, abs=1e-9)
