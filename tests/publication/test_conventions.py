"""The oracle has teeth: with any other convention it disagrees; and how ours differ from theirs."""

import ast
import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.publication import oracle
from tests.publication.cases import kernel_counts, lively_codes, on_grid, published, specification

TOKENS = 320
LEAST_SHARE = 0.001  # of counts that a wrong convention changes; measured: 0.003 (age) to 0.99

WRONG = {
    "leakage": {"decay": 1.5e-4},
    "no leakage": {"decay": 0.0},
    "no leakage of values": {"value_leaks": False},
    "age off by one": {"first_age": 1},
    "steps of a query": {"q_levels": 16},
    "steps of keys and values": {"kv_step_v": 0.9 / 8},
    "zero of a cell": {"v_zero_v": 0.44},
    "full scale of a score": {"s_sat": 79.0},
    "full scale of a row": {"a_sat": 39.0},
    "half as many rows in a sub-tile": {"subtile": 32},
    "sub-tile off by one": {"first_row": 1},
    "counts cut off": {"half_up": 0.0},
    "steps of the authors' read-out": {"steps": 15.5},
    "one read-out of all sub-tiles": {"one_read_out": True},
}


def changed_coefficients():
    """The cubic cell with one C_ij one per cent larger."""
    for i, row in enumerate(oracle.TRANSFER):
        for j in range(len(row)):
            rows = [list(r) for r in oracle.TRANSFER]
            rows[i][j] *= 1.01
            yield f"C{i}{j}", {"cell": oracle.cubic(tuple(map(tuple, rows)))}


def test_the_oracle_knows_nothing_of_the_project():
    tree = ast.parse(Path(oracle.__file__).read_text())
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {getattr(n, "module", None) or n.names[0].name for n in nodes}
    assert names == {"dataclasses", "typing", "numpy", "numpy.typing"}


@functools.cache
def ours(case: str, tokens: int = TOKENS) -> np.ndarray:
    return kernel_counts(specification(case), lively_codes(tokens))


def share(case: str, change: dict, tokens: int = TOKENS) -> float:
    """Of our counts, those that an oracle with `change` has otherwise."""
    wanted = oracle.counts(replace(published(case), **change), *lively_codes(tokens))
    return float((ours(case, tokens) != wanted).mean())


@pytest.mark.parametrize("case", ["cubic", "linear"])
def test_the_published_conventions_change_nothing(case):
    assert share(case, {}) == 0


@pytest.mark.parametrize("case", ["cubic", "linear"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_a_wrong_convention_changes_counts(case, wrong):
    assert share(case, wrong) > LEAST_SHARE


@pytest.mark.parametrize(("name", "wrong"), list(changed_coefficients()))
def test_a_wrong_coefficient_changes_counts(name, wrong):
    assert share("cubic", wrong) > LEAST_SHARE, name


def test_the_conventions_of_leakage_differ_for_the_cubic_cell_only():
    """A linear cell has one power, which decays alike in both."""
    assert share("cubic", {"whole_term": True}) > 0.1
    assert share("linear", {"whole_term": True}) == 0


def test_behind_the_window_the_authors_count_two_laps_apart():
    """Where the window has wrapped, a sub-tile holds tokens of two laps; we count their sum."""
    codes, p = lively_codes(1152), on_grid(published("cubic"))
    apart = oracle.counts(replace(p, laps_apart=True), *codes)
    differs = ours("cubic", 1152) != apart
    assert not differs[:1023].any()
    assert differs[1024:].mean() > 0.1


def test_the_authors_read_out_has_33_values():
    """Its step of 2/31 has no offset: a clamped charge becomes 16 steps of it, 1.0323."""
    theirs = replace(published("cubic"), steps=15.5)
    charge = np.linspace(-60, 60, 24001)
    values = np.unique(oracle.read_out(theirs, charge)) / 15.5
    assert len(values) == 33 and values.max() == pytest.approx(1.0323, abs=1e-4)
    assert len(np.unique(oracle.read_out(published("cubic"), charge))) == 31


def test_one_read_out_of_all_subtiles_is_coarser():
    """What the flash variants do. Both against the charge itself, summed without any read-out."""
    p, codes = published("cubic"), lively_codes(TOKENS)
    charge = oracle.signals(p, *codes).charge
    exact = (p.steps * np.clip(charge / p.a_sat, -1, 1)).sum(0)
    per_subtile = np.abs(oracle.counts(p, *codes) - exact).mean()
    of_the_sum = np.abs(oracle.counts(replace(p, one_read_out=True), *codes) - exact).mean()
    assert of_the_sum > 2 * per_subtile


def test_ages_in_bfloat16_have_few_values():
    """The authors keep the factors of leakage in bfloat16; ours are float32 or float64."""
    factors = torch.exp(-1.6e-4 * torch.arange(1024, dtype=torch.float64))
    assert len(factors.to(torch.bfloat16).unique()) == 40
    assert len(factors.float().unique()) == 1024
