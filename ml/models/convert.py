"""A pretrained language model -> the same model with gain-cell attention."""

from functools import reduce
from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

from analog_models.spec import HardwareSpec
from ml.errors import ModelError, SettingError
from ml.models.families import (
    FAMILIES,
    GainCellModel,
    attention_modules,
    check_head_dim,
    heads_of,
)
from ml.models.weights import check_values

__all__ = ["convert", "heads_of"]

STAGES = ("linear", "cubic")
DROPOUTS = ("attn_pdrop", "attention_dropout")  # what the families call dropout of attention
FULL = "full_attention"
OWN_TENSORS = (".heads.", ".o_proj.bias")  # what the softmax model need not have


def convert(
    model: PreTrainedModel,
    spec: HardwareSpec,
    stage: Literal["linear", "cubic"] = "cubic",
    mixing: bool = True,
) -> GainCellModel:
    """A copy of `model` whose attention runs on the hardware of `spec`, or its linear model.

    The heads start as the naive map of q, k, v to codes; ml.adapt finds a better one. `mixing`
    gives queries and keys a matrix per head behind the rotary positions instead of a scale per
    channel. Dropout of attention is set to 0. Parameters have the type of the model's, the widest
    if they have several, and heads have at least single precision; buffers have the type that they
    have in a model which is loaded. Raises ModelError for a model that does not fit the
    hardware or is not whole and finite, SettingError for an unknown stage.
    """
    if stage not in STAGES:
        raise SettingError(f"stage is {stage!r}, must be one of {', '.join(STAGES)}")
    check_model(model, spec)
    target = FAMILIES[type(model)]
    tree = model.config.to_dict()
    for name in ("model_type", "architectures", "quantization_config", "transformers_version"):
        tree.pop(name, None)
    tree |= {name: 0.0 for name in DROPOUTS if name in tree}
    config = target.config_class(**tree, stage=stage, mixing=mixing)
    hardware = spec if stage == "cubic" else _linear(spec)
    with no_init_weights():
        converted = target(config, hardware)
    _take_types(converted, model)
    _copy_weights(model, converted)
    converted.generation_config = model.generation_config
    return converted.train(model.training)


def check_model(model: PreTrainedModel, spec: HardwareSpec) -> None:
    """Raise ModelError for a model that cannot run on the hardware of `spec`."""
    name, config = type(model).__name__, model.config
    if isinstance(model, GainCellModel):
        raise ModelError(f"{name} is converted already; change its hardware with set_hardware")
    if type(model) not in FAMILIES:
        known = ", ".join(sorted(family.__name__ for family in FAMILIES))
        raise ModelError(f"{name}: attention not supported, known are {known}")
    if getattr(config, "quantization_config", None) is not None or not all(
        parameter.is_floating_point() for parameter in model.parameters()
    ):
        raise ModelError(f"{name}: its weights are quantised; give the model as it was before")
    check_values(name, model, ModelError)
    if getattr(config, "add_cross_attention", False):
        raise ModelError(f"{name}: config.add_cross_attention is set, the hardware is causal only")
    if getattr(config, "sliding_window", None) is not None:
        raise ModelError(
            f"{name}: config.sliding_window is {config.sliding_window}; set it to None, the window "
            f"of the hardware is geometry.subtile * geometry.subtiles = {spec.geometry.window}"
        )
    if not set(getattr(config, "layer_types", None) or [FULL]) <= {FULL}:
        raise ModelError(f"{name}: config.layer_types is {config.layer_types}; allowed is {FULL}")
    heads, shared = config.num_attention_heads, getattr(config, "num_key_value_heads", None)
    if heads % (shared or heads):
        raise ModelError(
            f"{name}: config.num_attention_heads is {heads}, must be a multiple of "
            f"num_key_value_heads = {shared}"
        )
    for module in attention_modules(model):
        check_head_dim(spec, module.head_dim)


def _linear(spec: HardwareSpec) -> HardwareSpec:
    """The linear model of the hardware; `spec` itself where it is that already."""
    linear = spec.linearised()
    return spec if linear.codes_hash == spec.codes_hash else linear


def _take_types(converted: GainCellModel, model: PreTrainedModel) -> None:
    """Device and type of `model` for the parameters of `converted`; buffers keep their type.

    What rotary positions turn by is such a buffer: no file has it, and bfloat16 spoils it.
    """
    dtype = reduce(torch.promote_types, (parameter.dtype for parameter in model.parameters()))
    nn.Module.to(converted, device=model.device)
    for parameter in converted.parameters():
        parameter.data = parameter.data.to(dtype)
    for heads in heads_of(converted):
        heads.to(torch.promote_types(dtype, torch.float32))
    converted.config.dtype = dtype


def _copy_weights(model: PreTrainedModel, converted: GainCellModel) -> None:
    missing, unexpected = converted.load_state_dict(model.state_dict(), strict=False)
    strange: list[Any] = [n for n in missing if not any(part in n for part in OWN_TENSORS)]
    if strange or unexpected:
        names = ", ".join((strange + unexpected)[:4])
        raise ModelError(f"{type(model).__name__}: tensors {names} are not those of its class")
    converted.tie_weights()
