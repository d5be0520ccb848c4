"""Scales, offsets and mixing matrices of the heads, folded into the projections around them.

Where nothing stands between a projection and the heads, it can give codes itself and take output
codes: the model is then plain layers around the hardware. So it is in GPT-2; Llama and its kin turn
queries and keys by their positions in between.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.files import read_json, write_json
from ml.attention.heads import GainCellHeads
from ml.errors import ModelError
from ml.models.config_file import CONFIG
from ml.models.families import GainCellGPT2LMHeadModel, GainCellModel, attention_modules, heads_of

INPUTS = ("q", "k", "v")


@torch.no_grad()
def fold(model: GainCellModel) -> GainCellGPT2LMHeadModel:
    """A copy of a GPT-2 whose projections give codes before rounding and take output codes.

    In double precision, in which its heads' scales of one over full scale, and back, are exact.
    Raises ModelError for a model of another family.
    """
    if not isinstance(model, GainCellGPT2LMHeadModel):
        name = type(model).__name__
        raise ModelError(f"{name}: cannot be folded: its positions turn what the projections give")
    config = copy.deepcopy(model.config)
    config.mixing = False
    folded = GainCellGPT2LMHeadModel(config, model.config.spec).double().eval()
    folded.load_state_dict(
        {n: t for n, t in model.state_dict().items() if ".heads." not in n}, strict=False
    )
    folded.tie_weights()
    pairs = zip(heads_of(model), attention_modules(folded), strict=True)
    for heads, attention in pairs:
        _fold_inputs(heads, attention.c_attn)
        _fold_output(heads, attention.c_proj)
        _set_plain(attention.heads)
    return folded


def _fold_inputs(heads: GainCellHeads, projection: nn.Module) -> None:
    weight, bias = (projection.get_parameter(name) for name in ("weight", "bias"))  # [C, 3C], [3C]
    for name, own, own_bias in zip(INPUTS, weight.chunk(3, -1), bias.chunk(3), strict=True):
        full = heads.spec.levels.full_scale[name]
        signals = torch.cat((own, own_bias[None])).unflatten(-1, (heads.query_heads, -1))
        if heads.mixing and name != "v":
            mixed = torch.einsum("chd,hde->che", signals, _double(heads, f"mix_{name}"))
        else:
            mixed = signals * _double(heads, f"scaler_{name}")
        mixed[-1] += _double(heads, f"offset_{name}")
        own.copy_(full * mixed[:-1].flatten(1))
        own_bias.copy_(full * mixed[-1].flatten())


def _fold_output(heads: GainCellHeads, projection: nn.Module) -> None:
    weight, bias = (projection.get_parameter(name) for name in ("weight", "bias"))  # [C, C], [C]
    bias.add_(_double(heads, "offset_out").flatten() @ weight)
    scale = _double(heads, "scaler_out").flatten() / heads.spec.levels.full_scale["out"]
    weight.mul_(scale[:, None])


def _double(heads: GainCellHeads, name: str) -> Tensor:
    return heads.get_parameter(name).detach().double()


def _set_plain(heads: GainCellHeads) -> None:
    for name, full in heads.spec.levels.full_scale.items():
        scale = full if name == "out" else 1.0 / full
        heads.get_parameter(f"scaler_{name}").fill_(scale)
        heads.get_parameter(f"offset_{name}").zero_()


def save_folded(model: GainCellModel, folder: Path) -> GainCellGPT2LMHeadModel:
    """Save `model` folded, weights in half precision; the model as it was saved.

    It loads in double precision. Raises ModelError as `fold`.
    """
    folded = fold(model)
    for name, parameter in folded.named_parameters():
        if ".heads." not in name:
            parameter.data = parameter.data.half()
    folded.save_pretrained(folder)
    tree: dict[str, Any] = read_json(folder / CONFIG)
    write_json(folder / CONFIG, tree | {"dtype": "float64"})
    return folded.double()
