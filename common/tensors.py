"""Arrays in safetensors files, never pickle: whole, of types that numpy has, or refused."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from common.errors import ArtefactError, brief, readable, shown
from common.files import read_bytes, write_bytes
from common.strict_json import parse_json

__all__ = ["check_axes", "check_whole", "load_tensors", "save_tensors"]

TYPES = {
    **{
        f"{letter}{8 * size}": f"{kind}{size}"
        for size in (1, 2, 4, 8)
        for letter, kind in ("Ii", "Uu")
    },
    **{"F16": "f2", "F32": "f4", "F64": "f8", "BOOL": "?"},
}
"""numpy's names of the types, little-endian as the format is."""


def save_tensors(path: Path, arrays: Mapping[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write a safetensors file whole or not at all."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_bytes(path, save(contiguous, metadata))


def load_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file.

    Raises `ArtefactError` if it is missing, truncated or damaged, or has a type that numpy lacks.
    """
    content = read_bytes(path)
    try:
        found = deserialize(content)
    except SafetensorError as error:
        raise ArtefactError(f"{path}: not a whole safetensors file: {brief(error)}") from error
    size = int.from_bytes(content[:8], "little")
    header = parse_json(content[8 : 8 + size].decode(), f"{path}: header")
    return {name: _array(path, name, **of) for name, of in found}, header.get("__metadata__") or {}


def check_axes(
    path: Path, arrays: Mapping[str, np.ndarray], axes: Mapping[str, tuple[str, ...]]
) -> dict[str, int]:
    """The size of each axis.

    axes: those of each array that has to be there. Raises `ArtefactError` for one that is missing
    or has other axes, if an axis has two sizes, and for an empty one.
    """
    sizes: dict[str, int] = {}
    for name, needed in axes.items():
        if name not in arrays:
            raise ArtefactError(f"{path}: has no tensor {name}")
        shape = arrays[name].shape
        fits = len(shape) == len(needed) and min(shape, default=1) > 0
        if fits:
            found = zip(needed, shape, strict=True)
            fits = all(sizes.setdefault(axis, size) == size for axis, size in found)
        if not fits:
            asked = ", ".join(f"{axis} {sizes[axis]}" if axis in sizes else axis for axis in needed)
            raise ArtefactError(f"{path}: {name} has shape {shown(list(shape))}, needs [{asked}]")
    return sizes


def check_whole(path: Path, arrays: Mapping[str, np.ndarray], names: Iterable[str]) -> None:
    """Raise `ArtefactError` unless these arrays are of whole numbers; true and false are such."""
    for name in names:
        if arrays[name].dtype.kind not in "iub":
            kind = arrays[name].dtype
            raise ArtefactError(f"{path}: {name} is of type {kind}, needs whole numbers")


def _array(path: Path, name: str, dtype: str, shape: list[int], data: bytes) -> np.ndarray:
    where = f"{path}: tensor {readable(name)}"
    if dtype not in TYPES:
        raise ArtefactError(f"{where} is of type {dtype}, allowed {', '.join(TYPES)}")
    try:
        return np.frombuffer(data, np.dtype(f"<{TYPES[dtype]}")).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise ArtefactError(f"{where} has shape {shown(shape)}: {brief(error)}") from error
