"""Models in folders on this machine. A hub is asked only where the user says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from analog_models.errors import ArtefactError
from ml.errors import ModelError
from ml.hf.models import GainCellModel


def load_base(name: str | Path, hub: bool = False) -> PreTrainedModel:
    """A pretrained model in single precision, from a folder; with `hub` also by a hub's name.

    Raises ArtefactError for a folder that is missing or holds no whole model.
    """
    with _reading(name, hub):
        model = AutoModelForCausalLM.from_pretrained(
            name, local_files_only=not hub, dtype=torch.float32
        )
    return model.eval()


def load_converted(folder: str | Path) -> GainCellModel:
    """A converted or adapted model as it was saved.

    Raises ArtefactError as `load_base`, and where the specification is missing or of other codes;
    ModelError for a model that was never converted.
    """
    with _reading(folder, hub=False):
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    if not isinstance(model, GainCellModel):
        raise ModelError(f"{folder}: holds a {type(model).__name__}; convert it first")
    return model.eval()


def load_tokenizer(name: str | Path, hub: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a model. Raises ArtefactError."""
    with _reading(name, hub):
        return AutoTokenizer.from_pretrained(name, local_files_only=not hub)


@contextmanager
def _reading(name: str | Path, hub: bool) -> Iterator[None]:
    """Turn what transformers raises for a bad folder into ArtefactError."""
    if not hub and not Path(name).is_dir():
        raise ArtefactError(f"{name}: no such folder (nothing is downloaded unless asked for)")
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtefactError(f"{name}: cannot be read as a model: {reason}") from error
