"""The adaptation algorithm finds the target's statistics without a gradient."""

import pytest
import torch

from ml.hardware_attention import attention_layers, on_hardware
from ml.initialise import initialise
from ml.matching import MAX_STEPS, TOLERANCE, match, measure
from ml.model import LanguageModel
from ml.surrogate import SurrogateOps
from tests.ml.conftest import TINY


@pytest.fixture
def linear(teacher, tiny_spec, ids) -> LanguageModel:
    model = LanguageModel(TINY, on_hardware(tiny_spec.linearised(), SurrogateOps(), scaled=True))
    initialise(model, teacher, ids[:, :-1])
    return model


@pytest.fixture
def cubic(linear, tiny_spec) -> LanguageModel:
    """The linear model's weights on the cubic cell, its scalers reset to the naive map."""
    model = LanguageModel(TINY, on_hardware(tiny_spec, SurrogateOps(), scaled=True))
    state = {n: t for n, t in linear.state_dict().items() if "scalers" not in n}
    model.load_state_dict(state, strict=False)
    return model


def test_a_model_matches_itself_at_once(linear, ids):
    assert match(linear, measure(linear, ids[:, :-1]), ids[:, :-1]) == [0.0]


def test_reset_scalers_find_the_linear_models_statistics(linear, cubic, ids):
    target = measure(linear, ids[:, :-1])
    errors = match(cubic, target, ids[:, :-1])
    assert errors[0] > 0.3
    assert errors[-1] < 0.01 * errors[0]
    assert len(errors) <= MAX_STEPS
    if len(errors) < MAX_STEPS:
        assert errors[-1] < TOLERANCE


def test_only_scalers_move(linear, cubic, ids):
    before = {n: t.clone() for n, t in cubic.state_dict().items()}
    match(cubic, measure(linear, ids[:, :-1]), ids[:, :-1])
    moved = {n for n, t in cubic.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == {n for n in before if "scalers" in n}


def test_statistics_are_those_of_the_signals(linear, ids):
    statistics = measure(linear, ids[:, :-1])
    layer, x = attention_layers(linear)[0], linear.hidden(ids[:, :-1])
    q = layer.signals(linear.blocks[0].norm_attention(x))["q"] / 15
    torch.testing.assert_close(statistics.mean[0][0], q.mean((0, 2)))
    torch.testing.assert_close(statistics.std[0][0], q.std((0, 2)))


def test_as_published_one_scale_and_offset_a_head_follow_what_was_learnt(linear, tiny_spec, ids):
    cubic = LanguageModel(TINY, on_hardware(tiny_spec, SurrogateOps(), scaled=True))
    cubic.load_state_dict(linear.state_dict())
    target = measure(linear, ids[:, :-1], published=True)
    assert target.mean[0].shape == (4, TINY.heads, 1)
    errors = match(cubic, target, ids[:, :-1], published=True)
    assert errors[-1] < 0.1 * errors[0]
    for before, after in zip(attention_layers(linear), attention_layers(cubic), strict=True):
        assert before.scalers is not None and after.scalers is not None
        a = after.scalers.scale / before.scalers.scale
        b = after.scalers.offset - a * before.scalers.offset
        for value in (a, b):
            torch.testing.assert_close(value, value[..., :1].expand_as(value), rtol=1e-3, atol=1e-5)
        assert (a[..., 0] - 1).abs().max() > 0.01
