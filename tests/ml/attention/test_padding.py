import pytest
import torch

from ml.attention.padding import starts_of
from ml.errors import ModelError


@pytest.mark.parametrize(
    ("mask", "starts"),
    [
        ([[1, 1, 1], [1, 1, 0]], None),
        ([[0, 1, 1], [1, 1, 1]], [1, 0]),
        ([[0, 0, 1], [0, 1, 0]], [2, 1]),
        ([[0, 0, 0], [1, 1, 0]], [3, 0]),
    ],
)
def test_starts_are_the_first_tokens(mask, starts):
    got = starts_of(torch.tensor(mask, dtype=torch.bool))
    assert (None if got is None else got.tolist()) == starts


@pytest.mark.parametrize("mask", [[[1, 0, 1]], [[1, 1, 1], [0, 1, 0], [1, 0, 1]]])
def test_a_gap_in_the_mask_is_refused(mask):
    with pytest.raises(ModelError, match="hides tokens between others"):
        starts_of(torch.tensor(mask, dtype=torch.bool))
