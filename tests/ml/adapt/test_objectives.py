"""What the student learns: errors, their gradients, and that shares of a batch add up."""

import copy

import pytest
import torch
from torch.nn import functional

from ml.adapt.objectives import EndToEnd, LayerWise, layer_errors, relative_error
from ml.models.network import Network, freeze
from ml.train.parallel import Ranks


def gradients(network) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in network.model.named_parameters() if p.grad is not None}
    network.model.zero_grad()
    return found


def test_the_teacher_makes_no_error_at_all(soft, texts):
    errors = layer_errors(soft, Network(copy.deepcopy(soft.model), torch.float32), texts)
    assert errors == {"attention": [0.0, 0.0], "stream": [0.0, 0.0]}


@pytest.mark.parametrize("text_weight", [0.0, 0.7])
def test_loss_and_gradient_are_those_of_all_logits_at_once(
    soft, student, texts, monkeypatch, text_weight
):
    objective = EndToEnd(soft, student, hidden_weight=0.0, text_weight=text_weight)
    monkeypatch.setattr("ml.models.network.LOGITS", 5 * soft.model.config.vocab_size)
    loss, details = objective(texts)
    found = gradients(student)
    ids = texts[:, :-1]
    wanted = functional.log_softmax(soft.model(ids).logits, -1).flatten(0, 1)
    got = functional.log_softmax(student.model(ids, use_cache=False).logits, -1).flatten(0, 1)
    divergence = functional.kl_div(got, wanted, reduction="batchmean", log_target=True)
    surprise = functional.nll_loss(got, texts[:, 1:].flatten())
    direct = (1 - text_weight) * divergence + text_weight * surprise
    direct.backward()
    assert float(loss) == pytest.approx(float(direct.detach()), rel=1e-5)
    assert details["divergence"] == pytest.approx(float(divergence.detach()), rel=1e-5)
    assert details["surprise"] == pytest.approx(float(surprise.detach()), rel=1e-5)
    for name, gradient in gradients(student).items():
        if name in found and "embed" not in name:
            assert (found[name] - gradient).norm() < 0.01 * gradient.norm(), name


def test_the_residual_stream_counts_by_its_weight(soft, student, texts):
    without, details = EndToEnd(soft, student, hidden_weight=0.0)(texts)
    weighted, _ = EndToEnd(soft, student, hidden_weight=2.0)(texts)
    assert details["stream"] > 0.01
    assert float(weighted - without) == pytest.approx(2 * details["stream"], rel=1e-3)


def test_each_layer_learns_from_its_own_error_only(soft, student, texts):
    objective = LayerWise(soft, student)
    freeze(student, lambda name: "self_attn" in name)
    loss, details = objective(texts)
    assert float(loss) == pytest.approx(sum(details["layers"]) / 2, rel=1e-5)
    found = gradients(student)
    assert {name.split(".")[2] for name in found} == {"0", "1"}
    with torch.no_grad():
        student.attentions[0].q_proj.weight.zero_()
    _, changed = objective(texts)
    assert changed["layers"][0] != details["layers"][0]
    assert changed["layers"][1] == details["layers"][1]


def test_shares_of_a_batch_average_to_the_whole(soft, student, texts):
    for objective in (LayerWise(soft, student), EndToEnd(soft, student)):
        whole, _ = objective(texts)
        gradients_whole = gradients(student)
        parts = [objective(Ranks(rank, 2).share(texts))[0] for rank in (0, 1)]
        assert float(sum(parts)) / 2 == pytest.approx(float(whole), rel=1e-5)
        halves = gradients(student)
        for name, gradient in gradients_whole.items():
            torch.testing.assert_close(halves[name] / 2, gradient, rtol=1e-3, atol=1e-5)


def test_a_relative_error_is_one_for_the_mean():
    wanted = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1))
    mean = wanted.mean((1, 2), keepdim=True).expand_as(wanted)
    assert float(relative_error(mean, wanted)) == pytest.approx(34 / 35)
