"""Pretrained language models of Hugging Face transformers on gain-cell hardware."""

try:
    import transformers  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "ml.models needs transformers: run `sh .ci/install.sh ml`, or pip install -e .[ml]",
        name=error.name,
    ) from error

from ml.attention.heads import GainCellHeads
from ml.models.convert import convert
from ml.models.families import (
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
