"""What the student is trained on."""

import pytest
import torch
from torch.nn.functional import kl_div, log_softmax

from ml.small.losses import TEXT_WEIGHT, distillation_loss
from ml.small.model import LanguageModel, next_token_loss
from tests.ml.conftest import TINY


def test_distillation_is_the_divergence_and_the_text(teacher, ids, generator):
    student = LanguageModel(TINY).initialise(generator)
    wanted, got = (
        log_softmax(model(ids[:, :-1]), dim=-1).flatten(0, 1) for model in (teacher, student)
    )
    text = next_token_loss(student(ids[:, :-1]), ids[:, 1:])
    plain = (
        kl_div(got, wanted.detach(), reduction="batchmean", log_target=True) + TEXT_WEIGHT * text
    )
    loss = distillation_loss(student, teacher, ids)
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), rel=1e-5)
    weights = list(student.parameters())
    for found, expected in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(plain, weights), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
