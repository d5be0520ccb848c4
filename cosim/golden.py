"""Golden vectors: the integer codes of an adapted language model's attention, read from files.

A folder holds `manifest.json` and two safetensors files:
  passage  q, out [layer, head, token, d], k, v [layer, kv head, token, d]: heads on one text, from
           an empty window; as many query heads share each key and value head, one after the other
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
    the tokens that start a sequence; query_only: [token] whether it is a further query head on the
    keys and values of the token before (None: none is).
    """

    name: str
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    out: np.ndarray
    heads: list[str]
    first: list[int]
    query_only: np.ndarray | None = None

    def job(self, spec: HardwareSpec, schedule: str | None = None, **options: Any) -> Job:
        """The co-simulation that replays this stream at the full window.

        schedule: its name, the specification's first by default; `SpecError` if there is none.
        """
        flush = np.zeros(len(self.q), dtype=np.uint8)
        flush[self.first] = 1
        length = np.full(len(self.q), spec.geometry.window, dtype=np.int32)
        number = 0 if schedule is None else spec.schedule_number(schedule)
        schedules = np.full(len(self.q), number, dtype=np.uint8)
        options |= {"schedule": schedules, "query_only": self.query_only}
        return Job(self.q, self.k, self.v, flush, length, **options)


@dataclass(frozen=True)
class Golden:
    """Golden vectors with the text that they come from.

    layers: their numbers in the model. wrap_head: "layer.head" of the wrap. text, predicted: the
    passage, and the token that the model predicts after each of its tokens.
    """

    manifest: dict[str, Any]
    passage: dict[str, np.ndarray]
    wrap: dict[str, np.ndarray]
    layers: list[int]
    wrap_head: str
    text: list[str]
    predicted: list[str]

    def passage_stream(self, tokens: int | None = None) -> Stream:
        """All heads on the first `tokens` tokens of the passage (all by default)."""
        layers, heads, length, dim = self.passage["q"].shape
        count, group = min(tokens or length, length), self.group
        shape = (layers, heads // group, group, length, dim)
        codes = {  # token after token, the query heads of a group in turn
            name: by_head.reshape(shape)[:, :, :, :count].swapaxes(2, 3).reshape(-1, dim)
            for name, by_head in self.by_query_head().items()
        }
        groups = [(i, range(j, j + group)) for i in self.layers for j in range(0, heads, group)]
        labels = [f"{i}.{head}" for i, own in groups for _ in range(count) for head in own]
        query_only = np.tile(np.arange(group) > 0, len(labels) // group).astype(np.uint8)
        first = list(range(0, len(labels), count * group))
        title = f"passage: {layers * heads} heads x {count} tokens"
        return Stream(title, **codes, heads=labels, first=first, query_only=query_only)

    @property
    def group(self) -> int:
        """Query heads that share a key and value head."""
        return self.passage["q"].shape[1] // self.passage["k"].shape[1]

    def by_query_head(self) -> dict[str, np.ndarray]:
        """The passage with the keys and values of each query head: all [layer, head, token, d]."""
        shared = {name: self.passage[name].repeat(self.group, axis=1) for name in ("k", "v")}
        return self.passage | shared

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
        layers = files[PASSAGE].get("layers", list(range(len(passage["q"]))))
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{folder / 'manifest.json'}: has no entry {error}") from error
    if made_for != spec.codes_hash:
        raise ArtefactError(
            f"{folder}: golden vectors of a specification of codes {made_for}, not of {spec.name} "
            f"({spec.codes_hash}); make them anew, or give sim their own "
            "specification with --spec"
        )
    _check(folder / PASSAGE, passage, ("layer", "head", "token", "dimension"), spec)
    _check(folder / WRAP, wrap, ("token", "dimension"), spec)
    return Golden(manifest, passage, wrap, layers, wrap_head, text, predicted)


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
    shape, shared = arrays["q"].shape, arrays["k"].shape
    fits = shape == arrays["out"].shape and shared == arrays["v"].shape
    fits = fits and len(shape) == len(shared) == len(axes) and shape[-1] == spec.geometry.head_dim
    if fits and "head" in axes:
        head = axes.index("head")
        fits = shape[head] % max(1, shared[head]) == 0
        shared = (*shared[:head], shape[head], *shared[head + 1 :])
    if not fits or shape != shared:
        shapes = [array.shape for array in arrays.values()]
        raise ArtefactError(
            f"{path}: q, k, v, out have shapes {shapes}: need [{', '.join(axes)}], the last "
            f"{spec.geometry.head_dim}, with as many or fewer heads of k and v"
        )
    levels = {"q": spec.levels.q, "k": spec.levels.kv, "v": spec.levels.kv}
    for name, count in levels.items():
        try:
            check_codes(arrays[name], count, name)
        except CodeError as error:
            raise ArtefactError(f"{path}: {error} ([{', '.join(axes)}])") from error
