"""A hardware and a model small enough to train in a test."""

import pytest
import torch

from analog_models.spec import HardwareSpec, load_preset
from ml.model import LanguageModel, ModelConfig

TINY = ModelConfig(vocabulary=40, context=24, layers=2, heads=2, width=32)


@pytest.fixture
def spec() -> HardwareSpec:
    return load_preset()


@pytest.fixture
def tiny_spec(spec: HardwareSpec) -> HardwareSpec:
    """Heads of 16 with sub-tiles of 8 slots, saturating at a quarter of the charge."""
    return spec.replace(
        name="tiny",
        geometry__head_dim=16,
        geometry__subtile=8,
        geometry__subtiles=4,
        converter__s_sat=20.0,
    )


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture
def teacher(generator: torch.Generator) -> LanguageModel:
    """A random model with weights large enough for lively attention."""
    model = LanguageModel(TINY).initialise(generator)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.mul_(8.0)
            elif name.endswith("qkv.bias"):
                parameter.normal_(std=0.3, generator=generator)
    return model


@pytest.fixture
def ids(generator: torch.Generator) -> torch.Tensor:
    """Random texts of one more token than the context, [12, 25]."""
    return torch.randint(TINY.vocabulary, (12, TINY.context + 1), generator=generator)
