"""Statistics give signals their range, scores their threshold, and outputs what fits best."""

from dataclasses import replace

import pytest
import torch

from ml.adapt.initialise import (
    Mapping,
    attention_outputs,
    fit_outputs,
    heads_in,
    initialise,
    output_projection,
    threshold_shift,
)
from ml.adapt.objectives import layer_errors
from ml.adapt.regression import ridge_regression
from ml.adapt.student import new_student
from ml.models.network import hooked
from tests.ml.families import EXACT
from tests.ml.tiny import tiny_spec


def signals(network, texts) -> list[tuple[torch.Tensor, ...]]:
    """q, k, v of every layer."""
    found = []
    modules = [heads_in(attention) for attention in network.attentions]
    note = lambda i, args, kwargs, output: found.append(args)  # noqa: E731
    with torch.no_grad(), hooked(modules, note, before=True):
        network.hidden(texts)
    return found


@pytest.mark.parametrize("mixing", [True, False])
def test_signals_get_their_ranges_and_scores_their_threshold(soft, texts, mixing):
    student = new_student(soft.model, tiny_spec(), "linear", replace(EXACT, mixing=mixing))
    student.model.requires_grad_(False)
    initialise(student, soft, texts, Mapping(0.25, 0.225, positive_share=0.2, own_stream=True))
    for attention, (q, k, v) in zip(student.attentions, signals(student, texts), strict=True):
        heads = heads_in(attention)
        assert heads.analog("q", q).std() == pytest.approx(0.25, rel=0.1)
        assert heads.analog("k", k).std() == pytest.approx(0.225, rel=0.1)
        torch.testing.assert_close(
            heads.analog("v", v).std((0, 2)), torch.full((1, 64), 0.225), rtol=0.02, atol=0
        )
        torch.testing.assert_close(heads.analog("v", v).mean((0, 2)), torch.full((1, 64), 0.5))
        assert float(threshold_shift(heads, q[:2], k[:2], 0.2).abs()) < 0.01
        assert float(threshold_shift(heads, q[:2], k[:2], 0.9)) > 0.02


@pytest.mark.parametrize("own_stream", [True, False])
def test_errors_of_the_fit_are_those_of_the_attention(soft, student, texts, own_stream):
    """Of every layer where statistics come from the teacher's inputs, of the first in any case."""
    naive = layer_errors(soft, student, texts)["attention"]
    errors = initialise(student, soft, texts, Mapping(own_stream=own_stream))
    mapped = layer_errors(soft, student, texts)["attention"]
    assert errors[0] == pytest.approx(mapped[0], rel=0.2) and mapped[0] < 0.8 * naive[0]
    assert (errors[1] == pytest.approx(mapped[1], rel=0.2)) != own_stream
    assert errors[1] < 0.9


def test_ridge_regression_finds_a_linear_map_and_its_offset():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(200, 5, dtype=torch.float64, generator=generator) + 1
    weight = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    found, bias = ridge_regression(x, x @ weight + 4, 1e-12)
    torch.testing.assert_close(found, weight)
    torch.testing.assert_close(bias, torch.full((3,), 4.0, dtype=torch.float64))
    shrunk, _ = ridge_regression(x, x @ weight + 4, 10.0)
    assert shrunk.norm() < 0.5 * weight.norm()


def test_a_fit_can_keep_what_is_there_already(soft, student, texts):
    """With all the ridge in the world nothing moves; with none the error falls."""
    initialise(student, soft, texts, Mapping())
    targets = attention_outputs(soft, texts)
    projections = [output_projection(attention) for attention in student.attentions]
    before = [p.get_parameter("weight").clone() for p in projections]
    kept = fit_outputs(student, targets, lambda: student.hidden(texts), 1e9)
    for projection, weight in zip(projections, before, strict=True):
        torch.testing.assert_close(projection.get_parameter("weight"), weight)
    fitted = fit_outputs(student, targets, lambda: student.hidden(texts), 1e-6)
    assert sum(fitted) < sum(kept)


def test_gpt2_is_mapped_by_the_same_code(tiny_gpt2, texts):
    student = new_student(tiny_gpt2.model, tiny_spec(), "linear", EXACT)
    before = output_projection(student.attentions[0]).get_parameter("weight").clone()
    errors = initialise(student, tiny_gpt2, texts, Mapping())
    mapped = layer_errors(tiny_gpt2, student, texts)
    assert errors[0] == pytest.approx(mapped["attention"][0], rel=0.2)
    assert not torch.equal(output_projection(student.attentions[0]).get_parameter("weight"), before)
