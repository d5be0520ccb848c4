"""Golden vectors, read from files (`golden_format`), as streams to co-simulate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.spec import HardwareSpec
from analog_models.spec.golden_format import (
    GOLDEN,
    SIGNALS,
    by_query_head,
    read_manifest,
    read_passage,
    read_wrap,
)
from common.errors import ArtefactError
from cosim.run.job import Job

__all__ = ["GOLDEN", "Golden", "Stream", "load_golden"]


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

    source: of the text. layers: their numbers in the model. wrap_head: "layer.head" of the wrap.
    text, predicted: the passage, and the token that the model predicts after each of its tokens.
    """

    source: str
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
        return by_query_head(self.passage)

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
    specification, for codes out of range, and for a manifest that does not fit them.
    """
    manifest = read_manifest(folder)
    if manifest.codes_hash != spec.codes_hash:
        raise ArtefactError(
            f"{folder}: golden vectors of a specification of codes {manifest.codes_hash}, "
            f"not of {spec.name} ({spec.codes_hash}); make them anew, or give sim their own "
            "specification with --spec"
        )
    passage, wrap = read_passage(folder, manifest, spec), read_wrap(folder, manifest, spec)
    about, fed = manifest.files.passage, manifest.files.wrap
    layers, name = about.numbers(len(passage["q"])), f"{fed.layer}.{fed.head}"
    if fed.layer not in layers or fed.head >= passage["q"].shape[1]:
        raise ArtefactError(f"{folder}: head {name} of the wrap is not in the passage")
    return Golden(
        manifest.source, passage, wrap, layers, name, about.strings, about.predicted_strings
    )
