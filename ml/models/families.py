"""Model classes of transformers whose attention runs on gain-cell hardware.

A saved model is a folder: `config.json`, the weights in safetensors, and the hardware specification
in `hardware.json`, which `analog_models.spec.load_spec` reads alone.
"""

import os
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.utils.hub import cached_file

from analog_models.spec import HardwareSpec, load_spec
from common.errors import ArtefactError
from common.files import write_json
from ml.attention import registered as attention
from ml.attention.heads import GainCellHeads, heads_of
from ml.errors import ModelError
from ml.models.config_file import CONFIG, check_entries, check_folder, check_type
from ml.models.generation import CodeGeneration
from ml.models.reading import reading
from ml.models.weights import load_whole

SPEC_FILE = "hardware.json"
HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


class GainCellConfig:
    """What the configuration of a gain-cell model has beside that of its family.

    stage: "linear" or "cubic" cell. mixing: whether queries and keys have a matrix per head.
    codes_hash: of the specification that the weights belong to. spec: the specification itself,
    which `config.json` does not repeat.
    """

    stage: str = "cubic"
    mixing: bool = True
    codes_hash: str | None = None
    spec: HardwareSpec | None = None

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **options: Any) -> Any:
        """The configuration in a `config.json`. Raises ArtefactError for one that cannot be."""
        model_type: str = cls.model_type  # pyright: ignore[reportAttributeAccessIssue]
        where = str(Path(options.get("name_or_path", ""), CONFIG))
        check_entries(config_dict, model_type, where)
        with reading(where, "configuration"):
            return super().from_dict(config_dict, **options)  # pyright: ignore[reportAttributeAccessIssue]

    def to_dict(self) -> dict[str, Any]:
        """The configuration as `config.json` has it: without the specification."""
        tree = super().to_dict()  # pyright: ignore[reportAttributeAccessIssue]
        tree.pop("spec", None)
        return tree


class GainCellModel(CodeGeneration):
    """What all gain-cell models share; comes before the family's class in the bases.

    Raises ModelError where there is no specification or the heads do not fit it.
    """

    config: Any
    config_class: Any
    lm_head: Any
    _keep_in_fp32_modules_strict = ["heads"]  # noqa: RUF012

    def __init__(self, config: Any, spec: HardwareSpec | None = None) -> None:
        spec = spec or config.spec
        if spec is None:
            raise ModelError(
                f"{type(self).__name__} needs a hardware specification: give spec=..., or load a "
                "saved model with from_pretrained"
            )
        config.spec, config.codes_hash = spec, spec.codes_hash
        config._attn_implementation = attention.NAME
        super().__init__(config)
        for module in attention_modules(self):
            _attach(module, config)

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        name_or_path: str | os.PathLike[str],
        *args: Any,
        spec: HardwareSpec | None = None,
        config: Any = None,
        **options: Any,
    ) -> Any:
        """Load a saved model, as transformers does, with the specification that lies beside it.

        spec: one to take instead, which must give the same codes. Only a name that is no folder
        makes transformers ask a hub. Raises ArtefactError for a missing specification or one that
        is not that of the weights, for weights that are not whole and finite, and for a
        configuration that cannot be; ModelError for a model that was never converted.
        """
        hub = {name: options[name] for name in HUB_OPTIONS if name in options}
        folder = Path(name_or_path, options.get("subfolder", ""))
        if folder.is_dir():
            check_folder(folder, [cls.config_class.model_type])
        if not isinstance(config, PreTrainedConfig):
            source = config or name_or_path
            with reading(source):
                tree, _ = PreTrainedConfig.get_config_dict(source, **hub)
                check_type(tree.get("model_type"), str(source), [cls.config_class.model_type])
                config, rest = cls.config_class.from_pretrained(
                    source, return_unused_kwargs=True, name_or_path=str(source), **options
                )
            options = hub | rest
        config.spec = _specification(name_or_path, config, spec, hub)
        wants_info = options.pop("output_loading_info", False)
        load = super().from_pretrained
        model, info = load_whole(load, cls, config, name_or_path, *args, **options)
        return (model, info) if wants_info else model

    def save_pretrained(self, save_directory: str | os.PathLike[str], **options: Any) -> None:
        """Save as transformers does, and the hardware specification beside it."""
        super().save_pretrained(save_directory, **options)
        write_json(Path(save_directory) / SPEC_FILE, self.config.spec.to_tree())


def attention_modules(model: nn.Module) -> list[Any]:
    """The modules that compute causal attention, layer by layer."""
    return [
        m for m in model.modules() if getattr(m, "is_causal", False) and hasattr(m, "layer_idx")
    ]


def set_hardware(model: GainCellModel, spec: HardwareSpec, stage: str) -> None:
    """Run the model on other hardware from now on, its weights as they are.

    Raises ModelError where the heads do not fit `spec`.
    """
    for module, heads in zip(attention_modules(model), heads_of(model), strict=True):
        check_head_dim(spec, module.head_dim)
        heads.spec = spec
    model.config.spec, model.config.codes_hash, model.config.stage = spec, spec.codes_hash, stage


def check_head_dim(spec: HardwareSpec, head_dim: int) -> None:
    """Raise ModelError unless heads of this dimension fit the arrays of `spec`."""
    if head_dim != spec.geometry.head_dim:
        raise ModelError(
            f"heads of the model have dimension {head_dim}: specification {spec.name} has "
            f"geometry.head_dim = {spec.geometry.head_dim}; take spec.replace(geometry__head_dim="
            f"{head_dim})"
        )


def _attach(module: Any, config: Any) -> None:
    """Give an attention module its heads, and its output projection a bias if it has none."""
    check_head_dim(config.spec, module.head_dim)
    query_heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or query_heads
    module.heads = GainCellHeads(config.spec, query_heads, kv_heads, config.mixing)
    old = getattr(module, "o_proj", None)
    if isinstance(old, nn.Linear) and old.bias is None:
        module.o_proj = nn.Linear(old.in_features, old.out_features, dtype=old.weight.dtype)
        module.o_proj.bias.data.zero_()


def _specification(
    path: Any, config: Any, given: HardwareSpec | None, hub: dict[str, Any]
) -> HardwareSpec:
    """The specification of a saved model, compared with its configuration."""
    if given is None:
        file = cached_file(
            path,
            SPEC_FILE,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            **hub,
        )
        if file is None:
            raise ArtefactError(f"{path}: has no {SPEC_FILE}, the specification of its hardware")
        given, name = load_spec(file), f"{path}/{SPEC_FILE}"
    else:
        name = f"specification {given.name}"
    if given.codes_hash != config.codes_hash:
        raise ArtefactError(
            f"{name} has codes {given.codes_hash}, but the model in {path} was made for "
            f"{config.codes_hash}: its weights mean nothing on other hardware; convert it anew"
        )
    if config.stage == "linear" and given.linearised().codes_hash != given.codes_hash:
        raise ArtefactError(f"{name} has other than linear cells, but stage is 'linear' in {path}")
    return given


class GainCellGPT2Config(GainCellConfig, GPT2Config):
    """GPT-2 on gain-cell hardware."""

    model_type = "gaincell_gpt2"


class GainCellLlamaConfig(GainCellConfig, LlamaConfig):
    """Llama, and what has its architecture (SmolLM2), on gain-cell hardware."""

    model_type = "gaincell_llama"


class GainCellMistralConfig(GainCellConfig, MistralConfig):
    """Mistral on gain-cell hardware."""

    model_type = "gaincell_mistral"


class GainCellQwen2Config(GainCellConfig, Qwen2Config):
    """Qwen2 on gain-cell hardware."""

    model_type = "gaincell_qwen2"


class GainCellGPT2LMHeadModel(GainCellModel, GPT2LMHeadModel):
    """GPT-2 with gain-cell attention."""

    config_class = GainCellGPT2Config


class GainCellLlamaForCausalLM(GainCellModel, LlamaForCausalLM):
    """Llama with gain-cell attention."""

    config_class = GainCellLlamaConfig


class GainCellMistralForCausalLM(GainCellModel, MistralForCausalLM):
    """Mistral with gain-cell attention."""

    config_class = GainCellMistralConfig


class GainCellQwen2ForCausalLM(GainCellModel, Qwen2ForCausalLM):
    """Qwen2 with gain-cell attention."""

    config_class = GainCellQwen2Config


# Each family's own class, and ours.
FAMILIES: dict[type[PreTrainedModel], type[GainCellModel]] = {
    GPT2LMHeadModel: GainCellGPT2LMHeadModel,
    LlamaForCausalLM: GainCellLlamaForCausalLM,
    MistralForCausalLM: GainCellMistralForCausalLM,
    Qwen2ForCausalLM: GainCellQwen2ForCausalLM,
}
for _model in FAMILIES.values():
    AutoConfig.register(_model.config_class.model_type, _model.config_class)
    AutoModelForCausalLM.register(_model.config_class, _model)
