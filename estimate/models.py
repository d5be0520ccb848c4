"""Shapes of language models, and how much there is to do for a token outside attention."""

from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from common.errors import ArtefactError, readable, shown
from common.files import read_json
from common.records import Record
from estimate.errors import EstimateError
from estimate.quantities import preset_path

__all__ = ["LanguageModel", "load_models", "model_names", "named_model"]

PASSES_OF_NORM = 4  # over a vector: mean, variance, scale, and the sum with what comes past


Size = Annotated[int, Field(gt=0, le=10**7)]


class LanguageModel(Record):
    """A decoder: `layers` of attention and a feed-forward network, then the vocabulary.

    hidden: width of the feed-forward network, `gated` with two matrices before it and not one.
    kv_heads: heads with keys and values of their own.
    """

    model_config = ConfigDict(extra="forbid")

    title: str
    layers: Size
    width: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    hidden: Size
    gated: bool
    vocabulary: Size
    source: str

    @model_validator(mode="after")
    def _heads_share(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"heads = {self.heads}: needs a multiple of kv_heads, {self.kv_heads}")
        return self

    @property
    def group(self) -> int:
        """Queries that share one key and value."""
        return self.heads // self.kv_heads

    @property
    def layer_matrices(self) -> tuple[int, ...]:
        """Weights of what a token passes in a layer, one after the other."""
        projections = self.width * (self.heads + 2 * self.kv_heads) * self.head_dim
        output = self.heads * self.head_dim * self.width
        up, down = (2 if self.gated else 1) * self.width * self.hidden, self.hidden * self.width
        return projections, output, up, down

    @property
    def matrices(self) -> tuple[int, ...]:
        """The same for the whole model, the vocabulary last."""
        return self.layer_matrices * self.layers + (self.width * self.vocabulary,)

    @property
    def weights(self) -> int:
        """Weights that every token is multiplied with."""
        return sum(self.matrices)

    @property
    def vector_operations(self) -> int:
        """Norms, activations and sums of a token, in operations on one number."""
        a_layer = 2 * PASSES_OF_NORM * self.width + self.hidden
        return self.layers * a_layer + PASSES_OF_NORM * self.width


def load_models(path: Path) -> dict[str, LanguageModel]:
    """The models of a file by name. Raises `ArtefactError`, naming field, value and needs."""
    tree = read_json(path)
    if not isinstance(tree, dict):
        raise ArtefactError(f"{path}: needs an object of models, has {type(tree).__name__}")
    return {
        name: LanguageModel.of(fields, f"{path}: {readable(name)}") for name, fields in tree.items()
    }


@cache
def _models() -> dict[str, LanguageModel]:
    return load_models(preset_path("models"))


def model_names() -> list[str]:
    """Models that ship with the estimate."""
    return list(_models())


def named_model(name: str) -> LanguageModel:
    """A model by its name. Raises `EstimateError` if there is none."""
    if name not in _models():
        raise EstimateError(f"no model {shown(name)}: there are {', '.join(_models())}")
    return _models()[name]
