"""What the JSON files of a model's folder must say, checked before transformers reads them.

transformers fills what is missing with the sizes of some other model, takes entries that name code
or other files, and fails deep inside for sizes that cannot be.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from transformers.activations import ACT2FN

from common.errors import ArtefactError, shown
from common.files import read_json
from common.records import Record
from ml.errors import ModelError

CONFIG, GENERATION = "config.json", "generation_config.json"
DIGITS = 40  # of a whole number: transformers writes 10^30 for a tokenizer without an end
PREFIX = "gaincell_"  # of the model types of ours
REFUSED = {
    "auto_map": "names code of the folder, which is never run; remove it if it is not needed",
    "quantization_config": "quantised weights are not read; give the model as it was before",
    "compression_config": "compressed weights are not read; give the model as it was before",
    "transformers_weights": "names another file of weights; rename that to model.safetensors",
    "per_layer_config": "layers of different sizes are not supported",
    "fusion_config": "names other code for some layers; remove it",
}
"""Entries that make something else of a model than its family's own class would."""

Size = Annotated[int, Field(gt=0, le=2**24)]
Layers = Annotated[int, Field(gt=0, le=4096)]
Heads = Annotated[int, Field(gt=0, le=2**16)]
Positive = Annotated[float, Field(gt=0, le=1e30)]
Share = Annotated[float, Field(ge=0, lt=1)]
ROPES = Literal["default", "linear", "dynamic", "yarn", "longrope", "llama3"]


class _Rope(Record):
    """Rotary positions; the entry has one of these names for its kind."""

    rope_type: ROPES = "default"
    type: ROPES = "default"
    rope_theta: Positive | None = None
    factor: Positive | None = None
    attention_factor: Positive | None = None
    beta_fast: Positive | None = None
    beta_slow: Positive | None = None
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None
    original_max_position_embeddings: Size | None = None
    short_factor: list[Positive] | None = None
    long_factor: list[Positive] | None = None


class _Common(Record):
    """What every family has."""

    vocab_size: Size
    pad_token_id: int | None = None
    tie_word_embeddings: bool | None = None
    use_cache: bool = True
    dtype: Literal["float32", "float16", "bfloat16", "float64"] | None = None
    torch_dtype: Literal["float32", "float16", "bfloat16", "float64"] | None = None
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "gaincell"] | None = None

    @model_validator(mode="after")
    def _padding_is_a_token(self) -> "_Common":
        if not -self.vocab_size <= (self.pad_token_id or 0) < self.vocab_size:
            raise ValueError(
                f"pad_token_id = {self.pad_token_id}: must be below vocab_size = {self.vocab_size}"
            )
        return self


class _Generation(Record):
    """How text is generated, as far as it may be nonsense."""

    do_sample: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1e6)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Positive | None = None
    num_beams: Annotated[int, Field(gt=0)] | None = None
    max_length: Annotated[int, Field(gt=0)] | None = None
    max_new_tokens: Annotated[int, Field(gt=0)] | None = None
    eos_token_id: int | list[int] | None = None
    bos_token_id: int | None = None
    pad_token_id: int | None = None


class _Tokenizer(Record):
    """Settings of a tokenizer that it takes without a look."""

    model_max_length: Annotated[float, Field(gt=0)] | None = None


class _Ours(Record):
    """What a converted model has besides."""

    stage: Literal["linear", "cubic"]
    mixing: bool
    codes_hash: str


class _GPT2(_Common):
    n_embd: Size
    n_layer: Layers
    n_head: Heads
    n_positions: Size = 1024
    n_inner: Size | None = None
    layer_norm_epsilon: Positive = 1e-5
    activation_function: str = "gelu_new"
    attn_pdrop: Share = 0.0
    resid_pdrop: Share = 0.0
    embd_pdrop: Share = 0.0

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "_GPT2":
        _whole(self, "n_embd", "n_head")
        _activation(self, "activation_function")
        return self


class _Llama(_Common):
    """Llama, Mistral and Qwen2, which name their sizes alike."""

    hidden_size: Size
    intermediate_size: Size | None = None
    num_hidden_layers: Layers
    num_attention_heads: Heads
    num_key_value_heads: Heads | None = None
    head_dim: Size | None = None
    max_position_embeddings: Annotated[int, Field(gt=0, lt=2**31)] = 2048
    rms_norm_eps: Positive = 1e-6
    hidden_act: str = "silu"
    attention_dropout: Share | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    rope_theta: Positive | None = None
    rope_scaling: _Rope | None = None
    rope_parameters: _Rope | None = None
    sliding_window: Size | None = None

    @model_validator(mode="after")
    def _heads_are_possible(self) -> "_Llama":
        if self.head_dim is None:
            _whole(self, "hidden_size", "num_attention_heads")
        if self.num_key_value_heads is not None:
            _whole(self, "num_attention_heads", "num_key_value_heads")
        dim = self.head_dim or self.hidden_size // self.num_attention_heads
        if dim % 2:
            raise ValueError(f"heads of dimension {dim}: rotary positions need an even one")
        _activation(self, "hidden_act")
        return self


FAMILIES: dict[str, type[_Common]] = {
    "gpt2": _GPT2,
    "llama": _Llama,
    "mistral": _Llama,
    "qwen2": _Llama,
}


def _whole(entries: BaseModel, name: str, divisor: str) -> None:
    value, by = getattr(entries, name), getattr(entries, divisor)
    if value % by:
        raise ValueError(f"{name} = {value}: must be a multiple of {divisor} = {by}")


def _activation(entries: BaseModel, name: str) -> None:
    value = getattr(entries, name)
    if value not in ACT2FN:
        raise ValueError(f"{name} = {shown(value)}: no activation that transformers knows")


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ArtefactError."""
    tree = read_json(path, DIGITS)
    if not isinstance(tree, dict):
        raise ArtefactError(f"{path}: needs an object, has {shown(tree)}")
    return tree


def check_folder(folder: Path, types: Collection[str]) -> dict[str, Any]:
    """`config.json` of the folder of a model of one of `types`, checked.

    Raises ArtefactError, ModelError for a model of another type.
    """
    path = folder / CONFIG
    tree = read_object(path)
    check_type(tree.get("model_type"), str(path), types)
    check_entries(tree, tree["model_type"], str(path))
    if (folder / GENERATION).exists():
        _Generation.of(read_object(folder / GENERATION), folder / GENERATION)
    return tree


def check_tokenizer_settings(path: Path) -> None:
    """Raise ArtefactError for settings of a tokenizer that name code, or are none."""
    tree = read_object(path)
    if tree.get("auto_map"):
        raise ArtefactError(f"{path}: auto_map = {shown(tree['auto_map'])}: {REFUSED['auto_map']}")
    _Tokenizer.of(tree, path)


def check_type(found: Any, where: str, types: Collection[str]) -> None:
    """Raise ModelError for a type of model that is none of `types`."""
    if found in types:
        return
    hint = ""
    if PREFIX + str(found) in types:
        hint = "; load it with transformers and give it to ml.models.convert"
    elif str(found).removeprefix(PREFIX) in types:
        hint = "; it is converted already"
    raise ModelError(f"{where}: model_type is {shown(found)}, must be {' or '.join(types)}{hint}")


def check_entries(tree: Mapping[str, Any], model_type: str, where: str) -> None:
    """Raise ArtefactError unless the entries of a config.json describe a model that can be."""
    for name, why in REFUSED.items():
        if tree.get(name):
            raise ArtefactError(f"{where}: {name} = {shown(tree[name])}: {why}")
    FAMILIES[model_type.removeprefix(PREFIX)].of(tree, where)
    if model_type.startswith(PREFIX):
        _Ours.of(tree, where)
