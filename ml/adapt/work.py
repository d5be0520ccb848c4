"""One adaptation: what it is made of, and what decides its result."""

import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from analog_models.spec import HardwareSpec
from ml.adapt.initialise import Mapping
from ml.adapt.matching import Matching
from ml.errors import SettingError
from ml.evaluate.perplexity import texts_of
from ml.models.network import Network, freeze
from ml.small.stages import StageFolder
from ml.train.loop import Settings
from ml.train.parallel import ALONE, Ranks
from ml.train.text import Text

STAGES = ("init", "layerwise", "refit", "linear", "matched", "cubic")
TRAINED = ("layerwise", "linear", "cubic")
ON_CUBIC = ("matched", "cubic")  # the others are on the linear cell


@dataclass(frozen=True)
class Options:
    """What decides the result beside base model, hardware, text and the settings of training.

    Texts are counted in sequences of `context` tokens. `mlp_rank` 0: no updates of the MLP.
    """

    context: int = 512
    mixing: bool = True
    mlp_rank: int = 0
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

    @cached_property
    def softmax(self) -> Network:
        """A copy of the teacher whose large weights have the precision of the products."""
        network = Network(copy.deepcopy(self.teacher).eval(), self.options.dtype)
        freeze(network, lambda name: False)
        return network

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
