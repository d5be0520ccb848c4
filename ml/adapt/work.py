"""One adaptation: what it is made of, and what decides its result."""

import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from analog_models.spec import HardwareSpec
from common.files import sha256
from ml.adapt.initialise import Mapping
from ml.adapt.matching import Matching
from ml.adapt.stage_files import StageFolder
from ml.errors import SettingError
from ml.evaluate.perplexity import texts_of
from ml.models.network import Network, freeze
from ml.train.loop import Settings
from ml.train.own_text import Text
from ml.train.parallel import ALONE, Ranks

STAGES = ("init", "layerwise", "refit", "linear", "published", "matched", "cubic")
TRAINED = ("layerwise", "linear", "cubic")
ON_CUBIC = ("published", "matched", "cubic")  # the others are on the linear cell
BEFORE_WORDS = ("init", "layerwise", "refit")  # stages that change attention alone
CONTROL = ("control-linear", "control-cubic")  # of the teacher itself
Trained = Literal["attention", "all"]


@dataclass(frozen=True)
class Options:
    """What decides the result beside base model, hardware, text and the settings of training.

    Texts are counted in sequences of `context` tokens. `mlp_rank` 0: no updates of the MLP.
    `train`: what learns from the teacher's words, the attention or all.
    """

    context: int = 512
    mixing: bool = True
    mlp_rank: int = 0
    train: Trained = "attention"
    matching: Matching = "charge"
    mapping: Mapping = field(default_factory=Mapping)
    hidden_weight: float = 1.0
    text_weight: float = 0.0
    calibration_texts: int = 16
    refit_texts: int = 32
    matching_texts: int = 4
    validation_texts: int = 8
    precision: str = "bfloat16"
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.text_weight <= 1:
            raise SettingError(f"text_weight is {self.text_weight}, must be in [0, 1]")
        if self.train == "all" and self.mlp_rank:
            raise SettingError(f"mlp_rank is {self.mlp_rank}, must be 0 where train is 'all'")

    @property
    def dtype(self) -> torch.dtype:
        """`precision` as torch calls it."""
        return getattr(torch, self.precision)


@dataclass(frozen=True)
class Adaptation:
    """One run: its teacher, hardware, text and folder. `settings`: of each trained stage."""

    teacher: PreTrainedModel
    spec: HardwareSpec
    text: Text
    options: Options
    settings: dict[str, Settings]
    folder: Path
    origin: str
    ranks: Ranks = ALONE
    words: Path | None = None  # stage of a control whose words are learned, not the teacher's

    @cached_property
    def softmax(self) -> Network:
        """A copy of the teacher whose large weights have the precision of the products."""
        network = self.copy_of_teacher()
        freeze(network, lambda name: False)
        return network

    def copy_of_teacher(self) -> Network:
        """The teacher in its own precision."""
        return Network(copy.deepcopy(self.teacher).eval(), self.options.dtype)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a training that goes on must have in common with what began it."""
        return {
            "origin": self.origin,
            "text": self.text.digest,
            "context": self.options.context,
            "hidden_weight": self.options.hidden_weight,
            "text_weight": self.options.text_weight,
            "mlp_rank": self.options.mlp_rank,
            "precision": self.options.precision,
            **({"train": self.options.train} if self.options.train != "attention" else {}),
            **({"words": sha256(self.words)} if self.words else {}),
        }

    @property
    def stages(self) -> StageFolder:
        """The finished stages."""
        return StageFolder(self.folder / "stages", self.origin)

    @cached_property
    def validation(self) -> Tensor:
        """Texts of the validation split, [n, context + 1]."""
        return texts_of(self.text.validation, self.options.context, self.options.validation_texts)

    def calibration(self, count: int) -> Tensor:
        """Texts [count, context] of the training split, for statistics."""
        return texts_of(self.text.train, self.options.context, count)[:, :-1]
