"""The first mapping: exact algebra, and statistics that come out as asked."""

import pytest
import torch

from ml.attention.surrogate import SurrogateOps
from ml.errors import ModelError
from ml.small.hardware_attention import attention_layers, on_hardware
from ml.small.initialise import POSITIVE_SHARE, balance, hadamard, initialise, positive_scores
from ml.small.losses import layer_wise_loss
from ml.small.model import LanguageModel
from tests.ml.conftest import TINY


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


@pytest.fixture
def student(teacher, tiny_spec, ids) -> LanguageModel:
    model = LanguageModel(TINY, on_hardware(tiny_spec.linearised(), SurrogateOps(), scaled=True))
    initialise(model, teacher, ids[:, :-1])
    return model


def test_the_asked_share_of_scores_is_positive(student, teacher, ids):
    x = teacher.hidden(ids[:, :-1])
    layer = attention_layers(student)[0]
    share = positive_scores(layer, teacher.blocks[0].norm_attention(x), torch.zeros(2))
    assert share.tolist() == pytest.approx([POSITIVE_SHARE] * 2, abs=0.01)


def test_signals_use_their_range(student, teacher, ids):
    layer, x = attention_layers(student)[0], teacher.hidden(ids[:, :-1])
    signals = layer.signals(teacher.blocks[0].norm_attention(x))
    for name, signal in signals.items():
        spread = (signal / layer.spec.levels.full_scale[name]).std((0, 2))
        assert spread.min() > 0.1 and spread.max() < 0.4, name


def test_it_approximates_the_teacher_far_better_than_zero(student, teacher, ids):
    """The loss is relative to the variance, so predicting the mean costs 1."""
    assert layer_wise_loss(student, teacher, ids[:, :-1]) < 0.7


def test_all_but_attention_is_copied(student, teacher):
    copied = student.state_dict()
    for name, tensor in teacher.state_dict().items():
        if ".attention." not in name:
            assert torch.equal(copied[name], tensor), name
