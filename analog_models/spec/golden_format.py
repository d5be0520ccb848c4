"""Golden vectors as files: the codes of a language model's attention on a text.

A folder holds `manifest.json` and two safetensors files:
  passage  q, out [layer, head, token, d], k, v [layer, kv head, token, d]: heads on one text, from
           an empty window; as many query heads share each key and value head, one after the other
  wrap     q, k, v, out [token, d]: one head fed without flush for more tokens than the window
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from analog_models.spec import HardwareSpec
from common.errors import ArtefactError, shown
from common.files import sha256
from common.records import Record, Sha256
from common.tensors import check_axes, check_whole, load_tensors

__all__ = [
    "GOLDEN",
    "PASSAGE",
    "SIGNALS",
    "WRAP",
    "Manifest",
    "by_query_head",
    "read_manifest",
    "read_passage",
    "read_wrap",
]

GOLDEN = Path(__file__).parents[2] / "ml" / "golden"
PASSAGE, WRAP, MANIFEST = "passage.safetensors", "wrap.safetensors", "manifest.json"
SIGNALS = ("q", "k", "v", "out")

Number = Annotated[int, Field(ge=0, lt=10_000)]
Digest = Annotated[str, Sha256]


class Passage(Record):
    """strings, predicted_strings: of each token, and of the one that the model predicts after it.

    layers: their numbers in the model; all of it if the manifest has none.
    """

    sha256: Digest
    strings: list[str]
    predicted_strings: list[str]
    layers: list[Number] = Field(default_factory=list)

    def numbers(self, count: int) -> list[int]:
        """The number of each of `count` layers."""
        return self.layers if "layers" in self.model_fields_set else list(range(count))


class Wrap(Record):
    """Which head of the model it is."""

    sha256: Digest
    layer: Number
    head: Number


class Files(Record):
    """The entries of both files."""

    passage: Passage = Field(alias=PASSAGE)
    wrap: Wrap = Field(alias=WRAP)


class Manifest(Record):
    """What is read of a manifest. codes_hash, preset: of the specification they are made for."""

    codes_hash: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    preset: str
    files: Files
    source: str = "unknown source"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises `ArtefactError`, naming field, value and what is allowed."""
    return Manifest.read(folder / MANIFEST)


def read_passage(folder: Path, manifest: Manifest, spec: HardwareSpec) -> dict[str, np.ndarray]:
    """q, k, v, out of the passage.

    Raises `ArtefactError` for a file that is missing, truncated or not that of the manifest, for
    shapes and codes that `spec` cannot have, and for text or layers that do not fit them.
    """
    entry = manifest.files.passage
    path = folder / PASSAGE
    arrays = _codes(path, entry.sha256, ("layer", "head", "token", "dimension"), spec)
    layers, heads, tokens, _ = arrays["q"].shape
    if heads % (shared := arrays["k"].shape[1]):
        raise ArtefactError(f"{path}: {heads} heads cannot share {shared} heads of k and v")
    where = f"{folder / MANIFEST}: files.{PASSAGE}"
    for name in ("strings", "predicted_strings"):
        if (has := len(getattr(entry, name))) != tokens:
            raise ArtefactError(f"{where}.{name}: has {has}, needs one for each of {tokens} tokens")
    numbers = entry.numbers(layers)
    if len(numbers) != layers or len(set(numbers)) != layers:
        raise ArtefactError(f"{where}.layers = {shown(numbers)}: needs {layers} different numbers")
    return arrays


def by_query_head(passage: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The passage with keys and values once for each query head: all [layer, head, token, d]."""
    group = passage["q"].shape[1] // passage["k"].shape[1]
    return passage | {name: passage[name].repeat(group, axis=1) for name in ("k", "v")}


def read_wrap(folder: Path, manifest: Manifest, spec: HardwareSpec) -> dict[str, np.ndarray]:
    """q, k, v, out of the wrap. Raises `ArtefactError` as `read_passage` does."""
    return _codes(folder / WRAP, manifest.files.wrap.sha256, ("token", "dimension"), spec)


def _codes(
    path: Path, digest: str, axes: tuple[str, ...], spec: HardwareSpec
) -> dict[str, np.ndarray]:
    arrays, _ = load_tensors(path)
    if (found := sha256(path)) != digest:
        raise ArtefactError(f"{path}: SHA-256 is {found[:12]}…, its manifest says otherwise")
    shared = tuple("kv head" if axis == "head" else axis for axis in axes)
    sizes = check_axes(path, arrays, {"q": axes, "k": shared, "v": shared, "out": axes})
    if sizes["dimension"] != spec.geometry.head_dim:
        needed = f"geometry.head_dim of {spec.name} is {spec.geometry.head_dim}"
        raise ArtefactError(f"{path}: q has {sizes['dimension']} dimensions, {needed}")
    codes = {name: arrays[name] for name in SIGNALS}
    check_whole(path, codes, SIGNALS)
    for name, top in (spec.levels.full_scale | {"out": spec.out_max}).items():
        _check_range(path, name, codes[name], (-top if name == "out" else 0, top), axes)
    return codes


def _check_range(
    path: Path, name: str, codes: np.ndarray, allowed: tuple[int, int], axes: tuple[str, ...]
) -> None:
    low, high = allowed
    wrong = (codes < low) | (codes > high)
    if wrong.any():
        first = np.argwhere(wrong)[0].tolist()
        raise ArtefactError(
            f"{path}: {name}{first} = {codes[tuple(first)]}: allowed whole numbers {low} to {high} "
            f"([{', '.join(axes)}])"
        )
