"""The adaptation algorithm finds the target's statistics without a gradient."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from ml.attention.surrogate import SurrogateOps
from ml.small.hardware_attention import attention_layers, on_hardware
from ml.small.initialise import initialise
from ml.small.matching import MAX_STEPS, TOLERANCE, match, measure, refit
from ml.small.model import LanguageModel, blocks
from tests.ml.conftest import TINY
from tests.publication.matching import Reals, Statistics, by_head, published_matching


@pytest.fixture
def linear(teacher, tiny_spec, ids) -> LanguageModel:
    model = LanguageModel(TINY, on_hardware(tiny_spec.linearised(), SurrogateOps(), scaled=True))
    initialise(model, teacher, ids[:, :-1])
    return model


@pytest.fixture
def cubic(linear, tiny_spec) -> LanguageModel:
    """The linear model's weights on the cubic cell."""
    model = LanguageModel(TINY, on_hardware(tiny_spec, SurrogateOps(), scaled=True))
    model.load_state_dict(linear.state_dict())
    return model


def test_a_model_matches_itself_at_once(linear, ids):
    assert match(linear, measure(linear, ids[:, :-1]), ids[:, :-1]) == [0.0]


def test_the_cubic_model_finds_the_linear_models_statistics(linear, cubic, ids):
    target = measure(linear, ids[:, :-1])
    errors = match(cubic, target, ids[:, :-1])
    assert errors[-1] < 0.1 * errors[0]
    assert len(errors) <= MAX_STEPS
    if len(errors) < MAX_STEPS:
        assert errors[-1] < TOLERANCE


def test_only_scalers_move(linear, cubic, ids):
    before = {n: t.clone() for n, t in cubic.state_dict().items()}
    match(cubic, measure(linear, ids[:, :-1]), ids[:, :-1])
    moved = {n for n, t in cubic.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == {n for n in before if "scalers" in n}


def test_statistics_are_those_of_the_signals_of_a_head(linear, ids):
    statistics = measure(linear, ids[:, :-1])
    assert statistics.mean[0].shape == (4, TINY.heads, 1)
    layer, x = attention_layers(linear)[0], linear.hidden(ids[:, :-1])
    q = layer.signals(linear.blocks[0].norm_attention(x))["q"] / 15
    torch.testing.assert_close(statistics.mean[0][0, :, 0], q.mean((0, 2, 3)))
    torch.testing.assert_close(statistics.std[0][0, :, 0], q.std((0, 2, 3)))


def test_one_scale_and_offset_a_head_follow_what_was_learnt(linear, cubic, ids):
    match(cubic, measure(linear, ids[:, :-1]), ids[:, :-1])
    for before, after in zip(attention_layers(linear), attention_layers(cubic), strict=True):
        assert before.scalers is not None and after.scalers is not None
        a = after.scalers.scale / before.scalers.scale
        b = after.scalers.offset - a * before.scalers.offset
        for value in (a, b):
            torch.testing.assert_close(value, value[..., :1].expand_as(value), rtol=1e-3, atol=1e-5)
        assert (a[..., 0] - 1).abs().max() > 0.01


def errors_against(linear: LanguageModel, model: LanguageModel, ids: torch.Tensor) -> list[float]:
    """Squared error of each attention layer on the stream of `linear`."""
    x, found = linear.hidden(ids), []
    for block, layer in zip(blocks(linear), attention_layers(model), strict=True):
        normed = block.norm_attention(x)
        found.append(float(mse_loss(layer(normed), block.attention(normed))))
        x = block(x)
    return found


@torch.no_grad()
def test_refitted_projections_come_closer_to_the_linear_model(linear, cubic, ids):
    texts = ids[:, :-1]
    match(cubic, measure(linear, texts), texts)
    before = {n: t.clone() for n, t in cubic.state_dict().items()}
    far = errors_against(linear, cubic, texts)
    refit(cubic, linear, texts)
    near = errors_against(linear, cubic, texts)
    assert all(b < 0.9 * a for a, b in zip(far, near, strict=True))
    moved = {n for n, t in cubic.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == {n for n in before if ".proj." in n}


@torch.no_grad()
def test_a_model_that_agrees_already_is_left_as_it_is(linear, ids):
    before = [layer.proj.weight.clone() for layer in attention_layers(linear)]
    refit(linear, linear, ids[:, :-1])
    for layer, weight in zip(attention_layers(linear), before, strict=True):
        torch.testing.assert_close(layer.proj.weight, weight, rtol=1e-5, atol=1e-6)


def scaled_statistics(model: LanguageModel, ids: torch.Tensor) -> Statistics:
    """Of q, k, v and output behind their scalers, [layer, 4, head], in units of full scale."""
    found = []

    def note(layer, inputs, _output) -> None:
        x, scalers = inputs[0], layer.scalers
        raw = (x @ layer.qkv.weight.T + layer.qkv.bias).chunk(3, dim=-1)
        signals = [part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in raw]
        signals.append(layer.codes(x).out / 15)
        found.append(
            [
                by_head((scale[:, None] * signal + offset[:, None]).numpy())
                for scale, signal, offset in zip(
                    scalers.scale, signals, scalers.offset, strict=True
                )
            ]
        )

    hooks = [layer.register_forward_hook(note) for layer in attention_layers(model)]
    model(ids)
    for hook in hooks:
        hook.remove()
    table = np.array(found)
    return table[:, :, 0], table[:, :, 1]


@torch.no_grad()
def test_matching_is_the_published_rule(linear, cubic, ids, monkeypatch):
    """In double precision, so that no code falls to the other side of a step."""
    monkeypatch.setattr("ml.small.matching.MAX_STEPS", 60)
    texts = ids[:6, :-1]
    linear, cubic, restated = linear.double(), cubic.double(), copy.deepcopy(cubic).double()
    layers = [(layer, layer.scalers) for layer in attention_layers(restated) if layer.scalers]
    before = [copy.deepcopy(scalers) for _, scalers in layers]

    def statistics(a: Reals, b: Reals) -> Statistics:
        for (_, scalers), own, scale, offset in zip(layers, before, a, b, strict=True):
            factor = torch.from_numpy(scale)[..., None]
            scalers.scale.copy_(factor * own.scale)
            scalers.offset.copy_(factor * own.offset + torch.from_numpy(offset)[..., None])
        return scaled_statistics(restated, texts)

    a, b, errors = published_matching(statistics, scaled_statistics(linear, texts), 60)
    found_errors = match(cubic, measure(linear, texts), texts)
    assert found_errors == pytest.approx(errors, rel=1e-6) and len(errors) > 4
    for i, (layer, own) in enumerate(zip(attention_layers(cubic), before, strict=True)):
        assert layer.scalers is not None
        found_a = layer.scalers.scale / own.scale
        found_b = layer.scalers.offset - found_a * own.offset
        for found, wanted in ((found_a, a[i]), (found_b, b[i])):
            np.testing.assert_allclose(
                found.numpy(), wanted[..., None] + 0 * found.numpy(), 1e-9, 1e-9
            )
    assert np.abs(a - 1).max() > 0.01 and np.abs(b).max() > 0.001
