"""Pretrained language models of Hugging Face transformers on gain-cell hardware."""

try:
    import transformers  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "ml.hf needs transformers: run `sh .ci/install.sh hf`, or pip install -e .[ml,hf]",
        name=error.name,
    ) from error

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
