"""Models with the architecture of pretrained ones, small and lively."""

from typing import Any

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

from ml.adapt.work import Options
from tests.ml import tiny

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
SMALL = {"vocab_size": 40, "n_positions": 24, "n_embd": 32, "n_layer": 2, "n_head": 2}
"""Of a GPT-2 that is trained from the beginning."""


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
