"""A model, a text and a hardware small enough to adapt in a test."""

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from analog_models.spec import HardwareSpec, load_preset

CHARACTERS = "\nabcdefghijklmnopqrstuvwxyz .,"
VOCABULARY = 64
CONTEXT = 32


def tiny_spec() -> HardwareSpec:
    """Sub-tiles of 8 slots, four of them."""
    return load_preset().replace(name="tiny", geometry__subtile=8, geometry__subtiles=4)


def tiny_model() -> LlamaForCausalLM:
    """Two layers of 2 query heads and 1 key and value head, with lively random weights."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        attn_implementation="sdpa",  # pyright: ignore[reportCallIssue]
    )
    model = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=0.15, generator=generator)
    return model


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    vocabulary = {c: i for i, c in enumerate(["?", "<|endoftext|>", *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")  # pyright: ignore
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="?", eos_token="<|endoftext|>"
    )


def write_tiny(folder: Path) -> list[str]:
    """Write base model, text and hardware below `folder`; the options that name them."""
    tiny_model().save_pretrained(folder / "base")
    tiny_tokenizer().save_pretrained(folder / "base")
    lines = [f"the {word} ran, and the {word} sat." for word in ("cat", "dog", "fox") * 120]
    (folder / "text.txt").write_text("\n".join(lines))
    (folder / "hardware.json").write_text(json.dumps(tiny_spec().to_tree()))
    named = {"base": "base", "text": "text.txt", "spec": "hardware.json", "cache": "cache"}
    return [f"--{option}={folder / name}" for option, name in named.items()]
