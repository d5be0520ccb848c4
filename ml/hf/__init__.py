"""Pretrained language models of Hugging Face transformers on gain-cell hardware."""

from ml.hf.convert import convert
from ml.hf.heads import GainCellHeads
from ml.hf.models import (
    GainCellGPT2Config,
    GainCellGPT2LMHeadModel,
    GainCellLlamaConfig,
    GainCellLlamaForCausalLM,
    heads_of,
    set_hardware,
)

__all__ = [
    "GainCellGPT2Config",
    "GainCellGPT2LMHeadModel",
    "GainCellHeads",
    "GainCellLlamaConfig",
    "GainCellLlamaForCausalLM",
    "convert",
    "heads_of",
    "set_hardware",
]
