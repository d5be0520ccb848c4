"""Leakage as a product of factors of query and cell."""

import torch

from ml.attention.separable_leakage import separable_leakage


def test_what_no_cell_has_costs_no_rank(spec):
    split = separable_leakage(spec.linearised(), 0.0)
    assert split is not None and len(split.places) == 1
    rows, ages = spec.geometry.subtile, 64 + torch.arange(64)[:, None] - torch.arange(64)
    leak = torch.exp(-spec.decay_per_token * ages.double())
    charge = split.places[0][:, None] * split.mix[1, 0, 1]
    assert rows == 64
    torch.testing.assert_close(charge, leak * spec.linearised().cell_polynomial[1])


def test_the_cubic_cell_takes_one_rank_for_each_power_to_be_exact(spec):
    split = separable_leakage(spec, 0.0)
    assert split is not None and len(split.places) == 4
