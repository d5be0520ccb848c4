"""Workloads: the tokens that reach a head or a core, as far as its timing depends on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analog_models.spec import HardwareSpec
from common.errors import CodeError

__all__ = ["Workload"]


@dataclass(frozen=True)
class Workload:
    """A stream of tokens. Codes, flushes and window lengths change no cycle, so they are not here.

    query_only: [token] a further query on the window as it is. schedule: [token] number of the
    schedule in the specification; one out of range means the first. gap: [token] cycles before a
    token is offered, counted from the one accepted before it. stall: [token] cycles that its
    result waits to be taken.
    """

    query_only: np.ndarray
    schedule: np.ndarray
    gap: np.ndarray
    stall: np.ndarray

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in vars(self).items()}
        if len(set(lengths.values())) > 1 or not lengths["gap"]:
            raise CodeError(f"workload: needs one value a token in each column, has {lengths}")
        for name in ("gap", "stall"):
            if getattr(self, name).min() < 0:
                raise CodeError(f"workload: {name} = {getattr(self, name).min()}: allowed 0 up")

    @property
    def tokens(self) -> int:
        """How many, further queries included."""
        return len(self.gap)

    @classmethod
    def of(
        cls, tokens: int, schedule: int = 0, queries: int = 1, gap: int = 0, stall: int = 0
    ) -> "Workload":
        """`tokens` alike: each takes one write and `queries` queries (grouped heads), in order."""
        count = tokens * queries
        fill = (np.full(count, value, dtype=np.int64) for value in (schedule, gap, stall))
        return cls(np.arange(count) % queries > 0, *fill)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]]) -> "Workload":
        """From lists by name, as a co-simulation writes them."""
        try:
            numbers = [np.asarray(columns[k], dtype=np.int64) for k in ("schedule", "gap", "stall")]
            return cls(np.asarray(columns["query_only"], dtype=bool), *numbers)
        except KeyError as error:
            raise CodeError(f"workload: has no column {error}") from error

    def in_core(self, heads: int) -> "Workload":
        """The same for a core: a token and a result are a beat for each of its `heads`.

        The beats of a token are collected while the one before runs; a result stays until its last
        beat is taken. gap and stall are then what comes on top, over all beats.
        """
        if heads < 1:
            raise CodeError(f"heads = {heads}: allowed 1 up")
        return Workload(self.query_only, self.schedule, self.gap + heads, self.stall + heads - 1)

    def numbers(self, spec: HardwareSpec) -> np.ndarray:
        """Number of the schedule that each token runs in, [token]."""
        in_range = (self.schedule >= 0) & (self.schedule < len(spec.schedules))
        return np.where(in_range, self.schedule, 0)
