"""What the co-simulation of a core is asked to do and what it found."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analog_models.spec import HardwareSpec
from analog_models.tensors import load_tensors, save_tensors
from cosim.job import check_token_codes

__all__ = ["CoreJob", "CoreOutcome", "Fault"]


class Fault(NamedTuple):
    """A fault of a converter: kind is `phi_stuck`, `out_stuck` or `sign_turned`."""

    kind: str
    head: int
    query: int


@dataclass(frozen=True)
class CoreJob:
    """Tokens to feed to a core.

    q, k, v: [token, head, d] codes. flush, query_only: [token]. schedule: its number;
    window_length: both are written to the registers. pauses: random back-pressure on both streams.
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
        """Raise `CodeError` for shapes or codes that the core cannot take."""
        check_token_codes(spec, self, (self.tokens, heads, spec.geometry.head_dim))

    def beats(self) -> dict[str, np.ndarray]:
        """Codes [beat, d] and flags [beat], a beat for each head of each token in turn."""
        flat = {name: getattr(self, name).reshape(-1, self.q.shape[-1]) for name in "qkv"}
        flags = {name: getattr(self, name).repeat(self.heads) for name in ("flush", "query_only")}
        return flat | flags

    def save(self, path: Path) -> None:
        arrays = {k: v for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        options = {k: v for k, v in asdict(self).items() if k not in arrays}
        save_tensors(path, arrays, {"options": json.dumps(options)})

    @classmethod
    def load(cls, path: Path) -> "CoreJob":
        arrays, metadata = load_tensors(path)
        options = json.loads(metadata["options"])
        options["faults"] = tuple(Fault(*fault) for fault in options["faults"])
        return cls(**arrays, **options)


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
        arrays, metadata = load_tensors(path)
        return cls(**arrays, registers=json.loads(metadata["registers"]))
