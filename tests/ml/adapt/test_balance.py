"""Matrices that leave every score as it is and give every channel the same range."""

import pytest
import torch

from ml.adapt.balance import balance, hadamard, shift_for
from ml.errors import ModelError


@pytest.mark.parametrize("size", [1, 2, 16, 64])
def test_hadamard_is_orthogonal_with_a_constant_column(size):
    matrix = hadamard(size)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size, dtype=torch.float64))
    assert matrix[:, 0].unique().numel() == 1


def test_hadamard_of_another_size_is_refused():
    with pytest.raises(ModelError, match=r"^head dimension is 48, must be a power of two$"):
        hadamard(48)


@pytest.fixture
def q_and_k(generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlated q with a mean, and centred k, both with channels of very different range."""
    ranges = torch.logspace(-1, 1, 16)
    mix_q, mix_k = (torch.randn(16, 16, generator=generator) for _ in range(2))
    q = torch.randn(4000, 16, generator=generator) * ranges @ mix_q + 1.0
    k = torch.randn(4000, 16, generator=generator) * ranges.flip(0) @ mix_k
    return q, k - k.mean(0)


def test_balance_keeps_every_dot_product(q_and_k):
    q, k = (x.double() for x in q_and_k)
    to_q, to_k = balance(q, k)
    torch.testing.assert_close((q @ to_q) @ (k @ to_k)[:50].T, q @ k[:50].T)


def test_balance_gives_all_channels_one_range_and_a_quiet_sum(q_and_k):
    q, k = (x.double() for x in q_and_k)
    to_q, to_k = balance(q, k)
    moments = torch.cat([(x @ m).square().mean(0) for x, m in ((q, to_q), (k, to_k))])
    assert moments.max() / moments.min() < 1.1
    sums = (k @ to_k).sum(-1).square().mean()
    assert sums < 0.05 * (k @ to_k).square().sum(-1).mean()


def test_a_shift_is_found_where_the_share_is_that(generator):
    values = torch.randn(3, 5000, generator=generator) / 8
    share = lambda shift: (values + shift[:, None] > 0).double().mean(1)  # noqa: E731
    shift = shift_for(share, 0.15, torch.zeros(3), 20)
    torch.testing.assert_close(share(shift), torch.full((3,), 0.15).double(), atol=1e-3, rtol=0)
