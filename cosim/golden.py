"""Golden vectors: the integer codes of an adapted language model's attention, read from files.

A folder holds `manifest.json` and two safetensors files:
  passage  q, k, v, out [layer, head, token, d]: every head on one text, from an empty window
  wrap     q, k, v, out [token, d]: one head fed without flush for more tokens than the window
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.errors import ArtefactError, CodeError
from analog_models.files import read_json, sha256
from analog_models.physics import check_codes
from analog_models.spec import HardwareSpec
from cosim.job import Job, load_tensors

__all__ = ["GOLDEN", "Golden", "Stream", "load_golden"]

GOLDEN = Path(__file__).parents[1] / "ml" / "golden"
PASSAGE, WRAP = "passage.safetensors", "wrap.safetensors"
SIGNALS = ("q", "k", "v", "out")


@dataclass(frozen=True)
class Stream:
    """Tokens of one or more heads, one head after the other, each from an empty window.

    q, k, v, out: [token, d] codes; heads: the head that each token belongs to; first: indices of
    the tokens that start a sequence.
    """

    name: str
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    out: np.ndarray
    heads: list[str]
    first: list[int]

    def job(self, spec: HardwareSpec, schedule: str | None = None, **options: Any) -> Job:
        """The co-simulation that replays this stream at the full window.

        schedule: its name, the specification's first by default; `SpecError` if there is none.
        """
        flush = np.zeros(len(self.q), dtype=np.uint8)
        flush[self.first] = 1
        length = np.full(len(self.q), spec.geometry.window, dtype=np.int32)
        number = 0 if schedule is None else spec.schedule_number(schedule)
        schedules = np.full(len(self.q), number, dtype=np.uint8)
        return Job(self.q, self.k, self.v, flush, length, schedule=schedules, **options)


@dataclass(frozen=True)
class Golden:
    """Golden vectors with the text that they come from.

    wrap_head: "layer.head" of the wrap. text, predicted: the passage, and the token that the model
    predicts after each of its tokens.
    """

    manifest: dict[str, Any]
    passage: dict[str, np.ndarray]
    wrap: dict[str, np.ndarray]
    wrap_head: str
    text: list[str]
    predicted: list[str]

    def passage_stream(self, tokens: int | None = None) -> Stream:
        """All heads on the first `tokens` tokens of the passage (all by default)."""
        layers, heads, length, dim = self.passage["q"].shape
        count = min(tokens or length, length)
        codes = {name: self.passage[name][:, :, :count].reshape(-1, dim) for name in SIGNALS}
        names = [f"{layer}.{head}" for layer in range(layers) for head in range(heads)]
        labels = [name for name in names for _ in range(count)]
        first = list(range(0, len(labels), count))
        return Stream(
            f"passage: {len(names)} heads x {count} tokens", **codes, heads=labels, first=first
        )

    def wrap_stream(self, tokens: int | None = None) -> Stream:
        """The head that is fed without flush, its first `tokens` tokens (all by default)."""
        count = min(tokens or len(self.wrap["q"]), len(self.wrap["q"]))
        head = self.wrap_head
        codes = {name: self.wrap[name][:count] for name in SIGNALS}
        title = f"wrap: head {head} x {count} tokens"
        return Stream(title, **codes, heads=[head] * count, first=[0])


def load_golden(spec: HardwareSpec, folder: Path = GOLDEN) -> Golden:
    """Read golden vectors made for `spec`.

    Raises `ArtefactError` for a missing, truncated or altered file, for vectors of another
    specification, and for codes out of range.
    """
    manifest = read_json(folder / "manifest.json")
    if not isinstance(manifest, dict):
        kind = type(manifest).__name__
        raise ArtefactError(f"{folder / 'manifest.json'}: needs an object, has {kind}")
    try:
        made_for, files = manifest["codes_hash"], manifest["files"]
        text, predicted = files[PASSAGE]["strings"], files[PASSAGE]["predicted_strings"]
        wrap_head = f"{files[WRAP]['layer']}.{files[WRAP]['head']}"
        passage, wrap = (_tensors(folder / name, files[name]) for name in (PASSAGE, WRAP))
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{folder / 'manifest.json'}: has no entry {error}") from error
    if made_for != spec.codes_hash:
        raise ArtefactError(
            f"{folder}: golden vectors of a specification of codes {made_for}, not of {spec.name} "
            f"({spec.codes_hash}); make them anew with `make golden`"
        )
    _check(folder / PASSAGE, passage, ("layer", "head", "token", "dimension"), spec)
    _check(folder / WRAP, wrap, ("token", "dimension"), spec)
    return Golden(manifest, passage, wrap, wrap_head, text, predicted)


def _tensors(path: Path, entry: dict[str, Any]) -> dict[str, np.ndarray]:
    arrays, _ = load_tensors(path)
    digest = sha256(path)
    if digest != entry["sha256"]:
        raise ArtefactError(f"{path}: SHA-256 is {digest[:12]}…, its manifest says otherwise")
    return {name: arrays[name] for name in SIGNALS}


def _check(
    path: Path, arrays: dict[str, np.ndarray], axes: tuple[str, ...], spec: HardwareSpec
) -> None:
    """Raise `ArtefactError` for shapes and codes that the head cannot take."""
    shapes = {array.shape for array in arrays.values()}
    shape = arrays["q"].shape
    if len(shapes) > 1 or len(shape) != len(axes) or shape[-1] != spec.geometry.head_dim:
        raise ArtefactError(
            f"{path}: q, k, v, out have shapes {sorted(shapes)}: need one of {len(axes)} axes, "
            f"the last {spec.geometry.head_dim}"
        )
    levels = {"q": spec.levels.q, "k": spec.levels.kv, "v": spec.levels.kv}
    for name, count in levels.items():
        try:
            check_codes(arrays[name], count, name)
        except CodeError as error:
            raise ArtefactError(f"{path}: {error} ([{', '.join(axes)}])") from error
