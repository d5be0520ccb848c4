"""A hardware and a model small enough to train in a test."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from analog_models.spec import HardwareSpec, load_preset
from ml.adapt.student import new_student
from ml.models import convert
from ml.models.network import Network
from tests.ml import tiny
from tests.ml.families import EXACT, SMALL, VOCABULARY, make_family


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


VARIANTS: dict[str, dict[str, Any]] = {
    "cubic": {},
    "whole_term": {"leakage__convention": "whole_term"},
    "leaky": {"leakage__decay_per_token": 0.02, "leakage__asymptote_v": 0.1},
    "no_leak": {"leakage__decay_per_token": 0.0},
    "few_levels": {"levels__out_magnitude_bits": 2, "levels__q": 4, "levels__kv": 5},
}


@pytest.fixture(params=[*VARIANTS, "linear"])
def any_spec(request, tiny_spec: HardwareSpec) -> HardwareSpec:
    """Tiny hardware of every kind of cell and of leakage, which counts up to its limits."""
    spec = tiny_spec.replace(converter__a_sat=10.0)
    if request.param == "linear":
        return spec.linearised()
    return spec.replace(**VARIANTS[request.param])


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture
def ids(generator: torch.Generator) -> torch.Tensor:
    """Random texts of one more token than the context, [12, 25]."""
    return torch.randint(SMALL["vocab_size"], (12, SMALL["n_positions"] + 1), generator=generator)


@pytest.fixture
def hf_spec(tiny_spec: HardwareSpec) -> HardwareSpec:
    """Heads of 16 with a window of two sub-tiles of 8 slots, and converters that saturate soon."""
    return tiny_spec.replace(
        name="tiny", geometry__subtiles=2, converter__s_sat=5.0, converter__a_sat=0.5
    )


@pytest.fixture(params=["gpt2", "llama", "mistral", "qwen2"])
def family(request) -> Any:
    """A random softmax model of each family."""
    return make_family(request.param)


@pytest.fixture
def llama() -> Any:
    return make_family("llama")


@pytest.fixture
def converted(family: Any, hf_spec: HardwareSpec) -> Any:
    """Each family on hardware, double precision."""
    return convert(family, hf_spec).double()


@pytest.fixture
def hf_ids(generator: torch.Generator) -> torch.Tensor:
    """Random texts without the tokens that begin, end and pad, [3, 60]: several windows."""
    return torch.randint(1, VOCABULARY - 1, (3, 60), generator=generator)


# What the adaptation is tested with.


@pytest.fixture
def soft() -> Network:
    return Network(tiny.tiny_model(), torch.float32)


@pytest.fixture
def student(soft) -> Network:
    """The linear model, its heads still the naive map."""
    return new_student(soft.model, tiny.tiny_spec(), "linear", EXACT)


@pytest.fixture
def texts() -> torch.Tensor:
    """Random texts of the context, [4, 32]."""
    return torch.randint(
        tiny.VOCABULARY, (4, tiny.CONTEXT), generator=torch.Generator().manual_seed(8)
    )


@pytest.fixture
def tiny_gpt2() -> Network:
    config = GPT2Config(
        vocab_size=tiny.VOCABULARY,
        n_embd=128,
        n_layer=2,
        n_head=2,
        n_inner=64,
        n_positions=tiny.CONTEXT,
    )
    torch.manual_seed(3)
    return Network(GPT2LMHeadModel(config).eval(), torch.float32)


@pytest.fixture(scope="session")
def adapted_folder(tmp_path_factory) -> Path:
    """A tiny Llama with grouped queries on tiny hardware, and its tokenizer, as they are saved."""
    folder = tmp_path_factory.mktemp("adapted")
    convert(tiny.tiny_model(), tiny.tiny_spec()).save_pretrained(folder)
    tiny.tiny_tokenizer().save_pretrained(folder)
    return folder
