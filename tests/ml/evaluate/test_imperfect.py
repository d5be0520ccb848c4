"""Models on imperfect hardware: what changes, what comes back, and that gradients get through."""

import numpy as np
import pytest
import torch

from analog_models.analog_head import AnalogHead
from analog_models.head import GoldenHead
from analog_models.spec import overlaid
from analog_models.variation import head_variation
from ml.attention.surrogate import SurrogateOps
from ml.evaluate.imperfect import ImperfectAttention, imperfect
from ml.evaluate.perplexity import mean_loss
from ml.small.hardware_attention import attend, attention_layers, fold, on_hardware
from ml.small.initialise import initialise
from ml.small.model import LanguageModel
from tests.ml.conftest import TINY

NOISES = ("write_noise_v", "read_noise_k", "read_noise_v", "phi_jitter_ps", "out_jitter_ps")


@pytest.fixture
def adapted(teacher, tiny_spec, ids) -> LanguageModel:
    model = LanguageModel(TINY, on_hardware(tiny_spec, scaled=True))
    initialise(model, teacher, ids[:, :-1])
    return fold(model.double())


@pytest.fixture
def typical(tiny_spec):
    return overlaid(tiny_spec, "typical")


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_model_is_imperfect_inside_only(adapted, typical, ids):
    before = mean_loss(adapted, ids)
    with imperfect(adapted, typical, noise()) as model:
        inside = mean_loss(model, ids)
    with imperfect(adapted, typical, noise()):
        assert mean_loss(adapted, ids) == inside
    with imperfect(adapted, typical, noise(1)):
        assert mean_loss(adapted, ids) != inside
    assert inside != before == mean_loss(adapted, ids)
    assert all(layer.attend is attend for layer in attention_layers(adapted))


def test_a_perfect_specification_leaves_the_fast_path_alone(adapted, tiny_spec, ids):
    before = mean_loss(adapted, ids)
    with imperfect(adapted, tiny_spec, noise()):
        assert all(layer.attend is attend for layer in attention_layers(adapted))
        assert mean_loss(adapted, ids) == before


def test_what_was_before_comes_back_after_an_error(adapted, typical):
    with pytest.raises(ZeroDivisionError), imperfect(adapted, typical, noise()):
        raise ZeroDivisionError
    assert not any(layer.spec.imperfections.noisy for layer in attention_layers(adapted))


def test_a_head_is_the_piece_of_hardware_of_its_number(adapted, typical, generator):
    spec = typical.replace(**{f"imperfections__{name}": 0.0 for name in NOISES})
    x = torch.randn(2, 20, TINY.width, generator=generator).double()
    with imperfect(adapted, spec, noise()):
        q, k, v, out = attention_layers(adapted)[1].codes(x)
    analog = AnalogHead(spec, variation=head_variation(spec, 1 * 2 + 1))  # layer 1, head 1
    codes = (signal[0, 1].detach().numpy() for signal in (q, k, v))
    assert np.array_equal(GoldenHead(spec, analog=analog).run(*codes), out[0, 1].detach())


def test_gradients_get_through_imperfect_hardware(typical, ids, teacher):
    model = LanguageModel(TINY, on_hardware(typical.ideal, SurrogateOps(), scaled=True))
    initialise(model, teacher, ids[:, :-1])
    with imperfect(model, typical, noise()):
        assert isinstance(attention_layers(model)[0].attend, ImperfectAttention)
        model(ids[:, :-1]).square().mean().backward()
    for layer in attention_layers(model):
        assert layer.scalers is not None and layer.scalers.scale.grad is not None
        gradient = layer.scalers.scale.grad
        assert gradient.isfinite().all() and (gradient != 0).float().mean() > 0.9
