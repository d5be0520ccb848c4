"""Models with the architecture of pretrained ones, small and lively."""

from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from analog_models.spec import HardwareSpec
from ml.hf import convert
from ml.hf.network import Network
from ml.hf.student import new_student
from ml.hf.work import Options
from tests.ml.hf import tiny

VOCABULARY = 50
EXACT = Options(context=tiny.CONTEXT, precision="float32")
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 49,
}
GPT2_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_positions": 128,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 2,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 49,
}


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


def make_family(name: str, **sizes: Any) -> Any:
    torch.manual_seed(3)
    if name == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(**GPT2_SIZES | sizes))
    elif name == "llama":
        model = LlamaForCausalLM(LlamaConfig(**SIZES | sizes))
    elif name == "mistral":
        whole: dict[str, Any] = SIZES | {"sliding_window": None} | sizes
        model = MistralForCausalLM(MistralConfig(**whole))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**SIZES | sizes))
    return model.eval()


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
