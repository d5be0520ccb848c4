"""Weights in safetensors, never pickle: whole or absent, finite, and of the right hardware."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from common.errors import ArtefactError, shown
from common.files import replacing
from common.strict_json import parse_json
from ml.errors import one_line
from ml.finite import is_finite

LONGEST_NAME = 120  # characters
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def save_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write `tensors` with `about` (anything JSON can hold) in the header, atomically.

    Raises ArtefactError for a value that is not finite: nothing could load the file.
    """
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    check_finite(contiguous, path)
    with replacing(path) as partial:
        save_file(contiguous, partial, {"about": json.dumps(about, allow_nan=False)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the `about` of a file. Raises ArtefactError.

    A missing, truncated or damaged file and a value that is not finite are refused.
    """
    if not path.is_file():
        raise ArtefactError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("about", "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = one_line(error)
        raise ArtefactError(f"{path}: damaged or truncated safetensors ({reason})") from error
    about = parse_json(text, f"{path}: about")
    if not isinstance(about, dict):
        raise ArtefactError(f"{path}: about = {shown(about)}: needs an object")
    check_finite(tensors, path)
    return tensors, about


def check_finite(tensors: Mapping[str, Tensor], where: Path | str) -> None:
    """Raise ArtefactError for the first of `tensors` that holds a value which is not finite.

    Complex numbers and floating-point numbers of a byte, which nothing of ours has, are refused.
    """
    for name, tensor in tensors.items():
        at = f"{where}: tensor {named(name)}"
        if tensor.is_complex() or (tensor.is_floating_point() and tensor.dtype not in FLOATS):
            raise ArtefactError(f"{at} has values of {_type(tensor)}")
        if not is_finite(tensor):
            raise ArtefactError(f"{at} holds a value that is not finite")


def fitted(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """The finite `tensors` of a file in the types of `own`, whose names and shapes they must have.

    Raises ArtefactError for a tensor that is missing, of another name or shape, for whole numbers
    of another type or in place of others, and for a value that is too large for its new type.
    """
    found: dict[str, Tensor] = {}
    for name in sorted(own.keys() | tensors.keys()):
        where = f"{path}: tensor {named(name)}"
        if name not in tensors:
            raise ArtefactError(f"{where} is missing")
        if name not in own:
            raise ArtefactError(f"{where} is none of the model's")
        given, wanted = tensors[name], own[name]
        if given.shape != wanted.shape:
            raise ArtefactError(
                f"{where} has shape {tuple(given.shape)}, expected {tuple(wanted.shape)}"
            )
        both_real = given.is_floating_point() and wanted.is_floating_point()
        if given.dtype != wanted.dtype and not both_real:
            raise ArtefactError(f"{where} has values of {_type(given)}, expected {_type(wanted)}")
        found[name] = given.to(wanted.dtype)
        if not is_finite(found[name]):
            raise ArtefactError(f"{where} holds a value that is too large for {_type(wanted)}")
    return found


def check_tokens(
    tensors: Mapping[str, Tensor], names: Iterable[str], path: Path, vocabulary: int | None = None
) -> None:
    """Raise ArtefactError unless the tensors `names` are there and hold token ids [tokens]."""
    for name in names:
        ids = tensors.get(name)
        if ids is None or ids.dim() != 1 or ids.is_floating_point() or ids.dtype == torch.bool:
            raise ArtefactError(f"{path}: tensor {named(name)}: needs token ids [tokens]")
        least, most = (int(x) for x in ids.long().aminmax()) if len(ids) else (0, 0)
        if least < 0 or (vocabulary is not None and most >= vocabulary):
            allowed = f"0 to {vocabulary - 1}" if vocabulary else "0 and up"
            odd = least if least < 0 else most
            raise ArtefactError(f"{path}: tensor {named(name)} has id {odd}, allowed {allowed}")


def load_weights(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put `tensors` into `module`. Raises ArtefactError as `fitted` does.

    Stored half precision becomes the module's own precision.
    """
    module.load_state_dict(fitted(tensors, module.state_dict(), path))


def named(name: str) -> str:
    """The name of a tensor as error messages show it: whole, unless it is odd."""
    return name if name.isprintable() and 0 < len(name) <= LONGEST_NAME else shown(name)


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
