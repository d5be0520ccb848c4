"""Shapes of language models, and how much there is to do for a token outside attention."""

from dataclasses import dataclass
from functools import cache

from analog_models.files import read_json
from estimate.errors import EstimateError
from estimate.quantities import preset_path

__all__ = ["LanguageModel", "model_names", "named_model"]

PASSES_OF_NORM = 4  # over a vector: mean, variance, scale, and the sum with what comes past


@dataclass(frozen=True)
class LanguageModel:
    """A decoder: `layers` of attention and a feed-forward network, then the vocabulary.

    hidden: width of the feed-forward network, `gated` with two matrices before it and not one.
    kv_heads: heads with keys and values of their own.
    """

    title: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    gated: bool
    vocabulary: int
    source: str

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


@cache
def _models() -> dict[str, LanguageModel]:
    tree = read_json(preset_path("models"))
    return {name: LanguageModel(**fields) for name, fields in tree.items()}


def model_names() -> list[str]:
    """Models that ship with the estimate."""
    return list(_models())


def named_model(name: str) -> LanguageModel:
    """A model by its name. Raises `EstimateError` if there is none."""
    if name not in _models():
        raise EstimateError(f"no model {name!r}: there are {', '.join(_models())}")
    return _models()[name]
