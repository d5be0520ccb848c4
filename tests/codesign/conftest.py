"""Models of 2 layers on small hardware, small enough to be co-simulated in a test."""

import pytest
import torch

from analog_models.spec import HardwareSpec, load_preset
from codesign.heads import Feed
from ml.models import convert
from ml.models.families import GainCellModel
from tests.cosim.conftest import build as build
from tests.ml.families import make_family

VOCABULARY, CONTEXT = 2048, 24
LAYERS, HEADS, GROUP = 2, 2, 2  # key and value heads, and query heads on each
SIZES = {
    "gpt2": {"n_positions": CONTEXT},
    "llama": {"max_position_embeddings": CONTEXT},
}
PER_TOKEN = LAYERS * 2 * 16 * (HEADS + HEADS * GROUP)  # codes: q and out, k and v


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


def feed_of(spec: HardwareSpec, group: int = GROUP) -> Feed:
    return Feed(spec, LAYERS, HEADS, "pipelined", group=group)


@pytest.fixture
def feed(spec) -> Feed:
    return feed_of(spec)


def tiny_model(spec: HardwareSpec, family: str = "llama") -> GainCellModel:
    """A random model with grouped queries (llama) or without; the same every time."""
    base = make_family(family, vocab_size=VOCABULARY, **SIZES[family])
    return convert(base, spec).double().requires_grad_(False)


@pytest.fixture
def model(spec) -> GainCellModel:
    return tiny_model(spec)


@pytest.fixture
def ids() -> torch.Tensor:
    """A random text of as many tokens as the context holds."""
    return torch.randint(VOCABULARY, (CONTEXT,), generator=torch.Generator().manual_seed(3))
