"""Weights in safetensors, never pickle: whole or absent, finite, and of the right hardware."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from analog_models.errors import ArtefactError
from analog_models.files import replacing


def save_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write `tensors` with `about` (anything JSON can hold) in the header, atomically."""
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        save_file(contiguous, partial, {"about": json.dumps(about)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the `about` of a file. Raises ArtefactError.

    A missing, truncated or damaged file and a value that is not finite are refused.
    """
    if not path.is_file():
        raise ArtefactError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise ArtefactError(f"{path}: damaged or truncated safetensors ({error})") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ArtefactError(f"{path}: tensor {name} holds a value that is not finite")
    return tensors, about


def load_weights(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put `tensors` into `module`. Raises ArtefactError on a missing name or a wrong shape.

    Stored half precision becomes the module's own precision.
    """
    for name, own in module.state_dict().items():
        if name not in tensors:
            raise ArtefactError(f"{path}: tensor {name} is missing")
        if own.shape != tensors[name].shape:
            got, wanted = tuple(tensors[name].shape), tuple(own.shape)
            raise ArtefactError(f"{path}: tensor {name} has shape {got}, expected {wanted}")
    module.load_state_dict({name: tensors[name] for name in module.state_dict()})
