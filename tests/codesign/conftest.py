"""A model of 2 layers x 2 heads on small hardware, small enough to be co-simulated in a test."""

import pytest
import torch

from analog_models.spec import HardwareSpec, load_preset
from codesign.heads import Feed
from ml.small.hardware_attention import attention_layers, on_hardware
from ml.small.model import LanguageModel, ModelConfig
from tests.cosim.conftest import build as build

TINY = ModelConfig(vocabulary=2048, context=24, layers=2, heads=2, width=32)


@pytest.fixture
def spec() -> HardwareSpec:
    """Heads of 16 with 2 sub-tiles of 16 slots, their converters scaled to lively signals."""
    return load_preset().replace(
        name="tiny",
        geometry__head_dim=16,
        geometry__subtile=16,
        geometry__subtiles=2,
        converter__s_sat=20.0,
        converter__a_sat=5.0,
    )


@pytest.fixture
def feed(spec) -> Feed:
    return Feed(spec, TINY.layers, TINY.heads, "pipelined")


def tiny_model(spec: HardwareSpec) -> LanguageModel:
    """A random model whose projections reach all codes; the same every time."""
    generator = torch.Generator().manual_seed(3)
    model = LanguageModel(TINY, on_hardware(spec)).double().initialise(generator)
    with torch.no_grad():
        model.tokens.weight.mul_(20.0)
        for layer in attention_layers(model):
            for signal, rows in zip("qkv", layer.qkv.weight.chunk(3), strict=True):
                full = layer.spec.levels.full_scale[signal]
                rows.normal_(std=full / 12, generator=generator)
            q, k, v = layer.qkv.bias.chunk(3)
            for bias, signal in ((q, "q"), (k, "k"), (v, "v")):
                bias.fill_(layer.spec.levels.full_scale[signal] / 2)
            layer.proj.weight.normal_(std=0.1, generator=generator)
    return model.requires_grad_(False)


@pytest.fixture
def model(spec) -> LanguageModel:
    return tiny_model(spec)


@pytest.fixture
def ids() -> torch.Tensor:
    """A random text of as many tokens as the context holds."""
    return torch.randint(
        TINY.vocabulary, (TINY.context,), generator=torch.Generator().manual_seed(3)
    )
