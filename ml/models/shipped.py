"""The models that ship, and how a command finds the model that it is asked for.

A name is "shipped" (the small GPT-2 of this project), "smollm2" (SmolLM2-135M of a package, its
adapted weights as deltas in `ml/checkpoints`), or a folder.
"""

from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from common.errors import ArtefactError
from ml.errors import SettingError
from ml.models import smollm2
from ml.models.config_file import CONFIG
from ml.models.delta import load_delta
from ml.models.families import GainCellModel
from ml.models.folders import load_base, load_converted, load_tokenizer

PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")  # named in every run
CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
TEACHER, ADAPTED = CHECKPOINTS / "teacher", CHECKPOINTS / "adapted"  # folders
WEIGHTS, RUN = "model.safetensors", "run.json"  # in each: the weights, and how they came about
SHIPPED, SMOLLM2 = NAMES = ("shipped", "smollm2")
STAGES = ("linear", "cubic")
DELTAS = {stage: CHECKPOINTS / f"smollm2-{stage}.safetensors" for stage in STAGES}


class Found(NamedTuple):
    """A model and the tokenizer that belongs to it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


class FoundAdapted(NamedTuple):
    """A model on gain-cell hardware and the tokenizer that belongs to it."""

    model: GainCellModel
    tokenizer: PreTrainedTokenizerBase


def load_teacher(folder: str | Path = TEACHER) -> PreTrainedModel:
    """The softmax teacher of the shipped model, single precision. Raises as `load_base`."""
    return load_base(folder)


def load_adapted(stage: str = "cubic", folder: str | Path = ADAPTED) -> GainCellModel:
    """The shipped adapted model, double precision: its codes do not depend on the order of sums.

    Raises ArtefactError as `load_converted`, SettingError for a stage that does not ship.
    """
    model = load_converted(folder)
    _check_stage(model, stage, folder)
    return model


def find_base(name: str | Path) -> Found:
    """The softmax model `name`, single precision: "shipped", "smollm2", or a folder.

    Raises ArtefactError for a name that is none of them and for a folder that holds no whole model.
    """
    if name == SMOLLM2:
        return Found(*smollm2.load())
    folder = TEACHER if name == SHIPPED else _folder(name)
    return Found(load_base(folder), load_tokenizer(folder))


def find_model(name: str | Path, stage: str | None = None) -> FoundAdapted:
    """The model `name` on gain-cell hardware: "shipped", "smollm2", or a folder.

    A folder is one that save_pretrained wrote, or the output folder of `ml.adapt`. stage: "linear"
    or "cubic"; without one that of the folder, else cubic. The shipped model comes in double
    precision, SmolLM2 in single, a folder in its own. Raises ArtefactError for a name that is none
    of them, for what is missing or damaged, and for a package that is not installed; SettingError
    for a stage that the model was not adapted to; ModelError for a model that was never converted.
    """
    if stage is not None and stage not in STAGES:
        raise SettingError(f"stage is {stage!r}, must be one of {', '.join(STAGES)}")
    if name == SMOLLM2:
        base, tokenizer = smollm2.load()
        return FoundAdapted(load_delta(DELTAS[stage or "cubic"], base).eval(), tokenizer)
    folder = ADAPTED if name == SHIPPED else _folder(name)
    model = load_converted(folder)
    _check_stage(model, stage, folder)
    return FoundAdapted(model, load_tokenizer(folder))


def _folder(name: str | Path) -> Path:
    """The folder `name`, or what ml.adapt leaves as `model` in it."""
    folder = Path(name)
    if not folder.is_dir():
        raise ArtefactError(
            f"{name}: no such model; give {SHIPPED}, {SMOLLM2}, or a folder with {CONFIG}"
        )
    inner = folder / "model"
    return inner if not (folder / CONFIG).exists() and (inner / CONFIG).exists() else folder


def _check_stage(model: GainCellModel, stage: str | None, folder: str | Path) -> None:
    if stage is not None and stage != model.config.stage:
        raise SettingError(f"stage is {stage!r}, but {folder} is of stage {model.config.stage!r}")
