"""What a co-simulation is asked to do and what it found, as files between two processes."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from analog_models.analog_head import AnalogHead
from analog_models.noise import HeadNoise
from analog_models.physics import check_codes
from analog_models.spec import HardwareSpec
from analog_models.variation import head_variation
from common.errors import CodeError
from common.records import Record
from common.strict_json import parse_json
from common.tensors import check_axes, check_whole, load_tensors, save_tensors

__all__ = [
    "ERROR",
    "JOB",
    "OUTCOME",
    "Job",
    "Outcome",
    "check_columns",
    "check_token_codes",
]

# Files in the folder of a simulation: what it is asked to do, and which of two it leaves.
JOB, OUTCOME, ERROR = "job.safetensors", "outcome.safetensors", "error.json"

TOKEN, CODES = ("token",), ("token", "dimension")
JOB_AXES = {
    **dict.fromkeys(("q", "k", "v"), CODES),
    **dict.fromkeys(("flush", "window_length", "query_only", "schedule", "noise"), TOKEN),
}
OUTCOME_AXES = {
    **dict.fromkeys(("out", "queries"), CODES),
    "counts": ("token", "sub-tile", "dimension"),
    "rows": ("token", "slot"),
    **dict.fromkeys(("accepted", "finished", "wall_s"), TOKEN),
}
Natural = Annotated[int, Field(ge=0, lt=2**63)]


class Options(Record):
    """The options of a `Job`, as its file has them."""

    max_gap: Natural
    max_stall: Natural
    seed: Natural
    device: Natural
    exact: bool
    waves: bool


@dataclass(frozen=True)
class Job:
    """Tokens to feed to one head, one after the other.

    q, k, v: [token, d] integer codes. flush: [token] whether a token starts a new sequence.
    window_length: [token] the input of that name, read by the RTL when a sequence starts; 0 and
    values above the window mean the window.
    query_only: [token] whether it is a further query on the window as it is (default: none).
    schedule: [token] number of the schedule in the specification (default: the first, which is
    also what a number out of range means).
    noise: [token] number that, with the seed, names the noise of the token (default: its place), so
    that the noise does not depend on which tokens ran before it in the same simulator.
    max_gap, max_stall: random back-pressure, in cycles, before a token is offered and before a
    result is taken; 0 is none. seed: of back-pressure and noise. device: number of the piece of
    hardware that all tokens run on. exact: pulses at the exact picosecond. waves: analog traces.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    flush: np.ndarray
    window_length: np.ndarray
    query_only: np.ndarray = field(default=None)  # type: ignore[assignment]
    schedule: np.ndarray = field(default=None)  # type: ignore[assignment]
    noise: np.ndarray = field(default=None)  # type: ignore[assignment]
    max_gap: int = 0
    max_stall: int = 0
    seed: int = 0
    device: int = 0
    exact: bool = False
    waves: bool = False

    def __post_init__(self) -> None:
        for name in ("query_only", "schedule"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.zeros(len(self.q), dtype=np.uint8))
        if self.noise is None:
            object.__setattr__(self, "noise", np.arange(len(self.q)))

    @property
    def tokens(self) -> int:
        return len(self.q)

    @property
    def sequences(self) -> list[range]:
        """Tokens of each sequence; the first token starts one, with or without flush."""
        starts = np.flatnonzero((self.flush == 1) & (self.query_only == 0)).tolist()
        starts = [0, *(start for start in starts if start), self.tokens]
        return [range(a, b) for a, b in pairwise(starts)]

    def take(self, tokens: Sequence[int] | np.ndarray) -> "Job":
        """The job of some of the tokens, in the order given."""
        return replace(self, **{k: v[tokens] for k, v in _arrays(self).items()})

    @classmethod
    def join(cls, jobs: "Sequence[Job]") -> "Job":
        """One job after the other, with the options of the first; each must start with a flush."""
        names = _arrays(jobs[0])
        return replace(jobs[0], **{n: np.concatenate([getattr(j, n) for j in jobs]) for n in names})

    @property
    def gaps(self) -> np.ndarray:
        """Cycles before each token is offered, counted from the one before: [token]."""
        return self._waits(self.max_gap, "gap")

    @property
    def stalls(self) -> np.ndarray:
        """Cycles that each result has to wait until it is taken: [token]."""
        return self._waits(self.max_stall, "stall")

    def _waits(self, longest: int, salt: str) -> np.ndarray:
        """Random numbers of cycles, half of them 0; all of them if `longest` is 0."""
        rng = random.Random(f"{salt} {self.seed}")
        waits = (rng.randint(0, longest) if rng.random() < 0.5 else 0 for _ in range(self.tokens))
        return np.array([*waits] if longest else [0] * self.tokens)

    def lengths(self, spec: HardwareSpec) -> np.ndarray:
        """Window that a sequence has if it starts with that token: [token]."""
        asked, window = self.window_length, spec.geometry.window
        return np.where((asked > 0) & (asked <= window), asked, window)

    def head_noise(self) -> HeadNoise:
        """The noise that these tokens meet."""
        return HeadNoise.numbered(self.seed, self.noise[self.query_only == 0], self.noise)

    def analog(self, spec: HardwareSpec, noise: HeadNoise | None = None) -> AnalogHead:
        """The arrays and converters that these tokens meet: drawn anew, but always the same.

        noise: that of these tokens and of all that follow them in later jobs, if there are any.
        """
        if spec.imperfections.off:
            return AnalogHead(spec)
        noise = noise or self.head_noise()
        return AnalogHead(spec, variation=head_variation(spec, self.device), noise=noise)

    def check(self, spec: HardwareSpec) -> None:
        """Raise `CodeError` for shapes or codes that the head cannot take."""
        shape = (self.tokens, spec.geometry.head_dim)
        check_token_codes(spec, self, shape)
        tops = {
            "flush": 1,
            "window_length": _top(spec.geometry.window + 1),
            "query_only": 1,
            "schedule": _top(max(2, len(spec.schedules))),
        }
        check_columns(self, tops)

    def save(self, path: Path) -> None:
        options = {name: getattr(self, name) for name in Options.model_fields}
        save_tensors(path, _arrays(self), {"options": json.dumps(options)})

    @classmethod
    def load(cls, path: Path) -> "Job":
        """A job from a file. Raises `ArtefactError` for what `save` does not write."""
        arrays, metadata = load_tensors(path)
        check_axes(path, arrays, JOB_AXES)
        check_whole(path, arrays, JOB_AXES)
        options = Options.of(parse_json(metadata.get("options", ""), f"{path}: options"), path)
        return cls(**{name: arrays[name] for name in JOB_AXES}, **options.model_dump())


@dataclass(frozen=True)
class Outcome:
    """What the simulation saw.

    out: [token, d] output codes. counts: [token, sub-tile, d] signed counts that the converters
    sent. queries: [token, d] query codes measured on the word lines. rows: [token, slot] widths in
    ps of the activation pulses that reached the V rows. accepted, finished: [token] clock cycle of
    the edge that accepted the token and of the one that made its result valid, counted since the
    simulator that the token ran in was started. wall_s: [token] seconds spent on it.
    trace: the last token's analog quantities, by name.
    """

    out: np.ndarray
    counts: np.ndarray
    queries: np.ndarray
    rows: np.ndarray
    accepted: np.ndarray
    finished: np.ndarray
    wall_s: np.ndarray
    trace: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def cycles(self) -> np.ndarray:
        """Cycles from accepting each token to its valid result."""
        return self.finished - self.accepted

    def take(self, tokens: Sequence[int] | np.ndarray) -> "Outcome":
        """What happened to some of the tokens, in the order given."""
        return replace(self, **{k: v[tokens] for k, v in _arrays(self).items()})

    @classmethod
    def merge(cls, parts: "Sequence[tuple[np.ndarray, Outcome]]") -> "Outcome":
        """Outcomes of disjoint sets of tokens, each with the places of its tokens in the whole.

        The trace is that of the last token of all.
        """
        places, outcomes = zip(*parts, strict=True)
        order = np.argsort(np.concatenate(places))
        last = max(parts, key=lambda part: part[0].max())[1]
        arrays = {
            name: np.concatenate([getattr(outcome, name) for outcome in outcomes])[order]
            for name in _arrays(last)
        }
        return cls(**arrays, trace=last.trace)

    def save(self, path: Path) -> None:
        traces = {f"trace.{k}": np.asarray(v) for k, v in self.trace.items()}
        save_tensors(path, _arrays(self) | traces, {})

    @classmethod
    def load(cls, path: Path) -> "Outcome":
        """An outcome from a file. Raises `ArtefactError` for what `save` does not write."""
        arrays, _ = load_tensors(path)
        check_axes(path, arrays, OUTCOME_AXES)
        check_whole(path, arrays, OUTCOME_AXES.keys() - {"wall_s"})
        trace = {k[6:]: array for k, array in arrays.items() if k.startswith("trace.")}
        return cls(**{name: arrays[name] for name in OUTCOME_AXES}, trace=trace)


def _arrays(record: Job | Outcome) -> dict[str, np.ndarray]:
    return {k: v for k, v in vars(record).items() if isinstance(v, np.ndarray)}


def _top(values: int) -> int:
    """The largest number that an input can have which has bits for so many values."""
    return (1 << (values - 1).bit_length()) - 1


def check_token_codes(spec: HardwareSpec, job: Any, shape: tuple[int, ...]) -> None:
    """Raise `CodeError` unless q, k, v of `job` have this shape [token, ...] and are codes."""
    for name, levels in (("q", spec.levels.q), ("k", spec.levels.kv), ("v", spec.levels.kv)):
        codes = getattr(job, name)
        if codes.shape != shape or not shape[0]:
            sizes = ", ".join(map(str, shape[1:]))
            raise CodeError(f"{name} has shape {codes.shape}: needs [tokens, {sizes}]")
        check_codes(codes, levels, name)


def check_columns(job: Any, tops: Mapping[str, int]) -> None:
    """Raise `CodeError` unless each of these is one number a token, from 0 to its largest."""
    for name, top in tops.items():
        values = getattr(job, name)
        if values.shape != (job.tokens,):
            raise CodeError(f"{name} has shape {values.shape}: needs [tokens], one number a token")
        check_codes(values, top + 1, name)
