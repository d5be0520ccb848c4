"""What the co-simulation of a core is asked to do and what it found."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np

from analog_models.spec import HardwareSpec
from common.errors import CodeError
from common.fields import AsTuple
from common.records import Record
from common.strict_json import parse_json
from common.tensors import check_axes, check_whole, load_tensors, save_tensors
from cosim.run.job import Natural, check_columns, check_token_codes

__all__ = ["CoreJob", "CoreOutcome", "Fault"]

LARGEST = 2**32 - 1  # that a register takes


class Fault(NamedTuple):
    """A fault of a converter: kind is `phi_stuck`, `out_stuck` or `sign_turned`."""

    kind: str
    head: int
    query: int


JOB_AXES = {
    **dict.fromkeys(("q", "k", "v"), ("token", "head", "dimension")),
    **dict.fromkeys(("flush", "query_only"), ("token",)),
}
OUTCOME_AXES = {"out": ("beat", "dimension"), "cycles": ("beat",)}


class Options(Record):
    """The options of a `CoreJob`, as its file has them."""

    schedule: Natural
    window_length: Natural
    pauses: bool
    seed: Natural
    faults: list[Annotated[tuple[str, Natural, Natural], AsTuple]]


class Registers(Record):
    """What the registers held, by name."""

    registers: dict[str, Natural]


@dataclass(frozen=True)
class CoreJob:
    """Tokens to feed to a core.

    q, k, v: [token, head, d] codes. flush, query_only: [token]. schedule, window_length: any 32
    bits, written to the registers of that name; a schedule that there is not means the first, a
    window length of 0 or above the window means the window. pauses: random back-pressure on both
    streams.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    flush: np.ndarray
    query_only: np.ndarray
    schedule: int
    window_length: int
    pauses: bool = False
    seed: int = 0
    faults: tuple[Fault, ...] = ()

    @property
    def tokens(self) -> int:
        return len(self.q)

    @property
    def heads(self) -> int:
        return self.q.shape[1]

    def check(self, spec: HardwareSpec, heads: int) -> None:
        """Raise `CodeError` for shapes, codes or settings that the core cannot take."""
        check_token_codes(spec, self, (self.tokens, heads, spec.geometry.head_dim))
        check_columns(self, {"flush": 1, "query_only": 1})
        for name in ("schedule", "window_length"):
            value = getattr(self, name)
            if not 0 <= value <= LARGEST:
                raise CodeError(f"{name} = {value}: a register takes 0 to {LARGEST}")

    def length(self, spec: HardwareSpec) -> int:
        """The window that a sequence has."""
        asked, window = self.window_length, spec.geometry.window
        return asked if 0 < asked <= window else window

    def beats(self) -> dict[str, np.ndarray]:
        """Codes [beat, d] and flags [beat], a beat for each head of each token in turn."""
        flat = {name: getattr(self, name).reshape(-1, self.q.shape[-1]) for name in "qkv"}
        flags = {name: getattr(self, name).repeat(self.heads) for name in ("flush", "query_only")}
        return flat | flags

    def save(self, path: Path) -> None:
        arrays = {name: getattr(self, name) for name in JOB_AXES}
        options = {name: getattr(self, name) for name in Options.model_fields}
        save_tensors(path, arrays, {"options": json.dumps(options)})

    @classmethod
    def load(cls, path: Path) -> "CoreJob":
        """A job from a file. Raises `ArtefactError` for what `save` does not write."""
        arrays, metadata = load_tensors(path)
        check_axes(path, arrays, JOB_AXES)
        check_whole(path, arrays, JOB_AXES)
        options = Options.of(parse_json(metadata.get("options", ""), f"{path}: options"), path)
        faults = tuple(Fault(*fault) for fault in options.faults)
        codes = {name: arrays[name] for name in JOB_AXES}
        return cls(**codes, **options.model_dump(exclude={"faults"}), faults=faults)


@dataclass(frozen=True)
class CoreOutcome:
    """What the simulation saw.

    out: [beat, d] output codes; cycles: [beat] clock cycle in which each was taken. registers: what
    they held at the end, by name, and the level of the pin `error` as `error_pin`.
    """

    out: np.ndarray
    cycles: np.ndarray
    registers: dict[str, int]

    def save(self, path: Path) -> None:
        arrays = {"out": self.out, "cycles": self.cycles}
        save_tensors(path, arrays, {"registers": json.dumps(self.registers)})

    @classmethod
    def load(cls, path: Path) -> "CoreOutcome":
        """An outcome from a file. Raises `ArtefactError` for what `save` does not write."""
        arrays, metadata = load_tensors(path)
        check_axes(path, arrays, OUTCOME_AXES)
        check_whole(path, arrays, OUTCOME_AXES)
        registers = parse_json(metadata.get("registers", ""), f"{path}: registers")
        content = Registers.of({"registers": registers}, path)
        return cls(**{name: arrays[name] for name in OUTCOME_AXES}, registers=content.registers)
