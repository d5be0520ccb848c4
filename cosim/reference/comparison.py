"""Comparison of what the RTL gave with what was expected."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from analog_models.head import GoldenHead, TokenTrace
from analog_models.noise import HeadNoise
from analog_models.spec import HardwareSpec
from cosim.run.job import Job, Outcome

__all__ = ["GoldenSession", "Mismatch", "compare", "golden_codes", "golden_traces"]


@dataclass(frozen=True)
class Mismatch:
    """The first output code that differs, and where.

    subtile: the one whose signed count differs from the golden head's, or None if all counts that
    reached the RTL are right, so that the RTL's own sum is wrong.
    """

    head: str
    token: int
    dimension: int
    got: int
    expected: int
    subtile: int | None

    def __str__(self) -> str:
        where = "none (sum)" if self.subtile is None else str(self.subtile)
        return (
            f"first mismatch: token {self.token}, head {self.head}, sub-tile {where}, "
            f"dimension {self.dimension}: got {self.got}, expected {self.expected}"
        )


def compare(
    spec: HardwareSpec, job: Job, heads: Sequence[str], expected: np.ndarray, outcome: Outcome
) -> tuple[int, Mismatch | None]:
    """Count differing output codes and locate the first.

    heads: the name of the head that each token belongs to; expected: [token, d] output codes.
    """
    wrong = outcome.out != expected
    if not wrong.any():
        return 0, None
    index = int(np.flatnonzero(wrong.any(axis=1))[0])
    dimension = int(np.flatnonzero(wrong[index])[0])
    trace = next(islice(golden_traces(spec, job), index, None))
    counts = trace.counts[:, dimension]
    differ = np.flatnonzero(counts != outcome.counts[index, :, dimension])
    first = Mismatch(
        head=heads[index],
        token=heads[:index].count(heads[index]),
        dimension=dimension,
        got=int(outcome.out[index, dimension]),
        expected=int(expected[index, dimension]),
        subtile=int(differ[0]) if len(differ) else None,
    )
    return int(wrong.sum()), first


def golden_codes(spec: HardwareSpec, job: Job) -> np.ndarray:
    """Output codes [token, d] of the golden head."""
    return GoldenSession(spec).codes(job)


def golden_traces(spec: HardwareSpec, job: Job) -> Iterator[TokenTrace]:
    """What each token of a job does in the golden head."""
    return GoldenSession(spec).traces(job)


class GoldenSession:
    """The golden head in the place of a simulator: each job goes on where the one before ended."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._noise: list[HeadNoise] = []
        self._head: GoldenHead | None = None  # drawn with the first job
        self._empty = True

    def codes(self, job: Job) -> np.ndarray:
        """Output codes [token, d]."""
        return np.array([trace.out for trace in self.traces(job)])

    def traces(self, job: Job) -> Iterator[TokenTrace]:
        """What each token of the job does."""
        spec = self._spec
        self._noise.append(job.head_noise())
        if self._head is None:
            analog = job.analog(spec, HeadNoise.joined(self._noise))
            self._head = GoldenHead(spec, analog=analog)
        flags = zip(job.flush, job.query_only, job.lengths(spec), strict=True)
        for (flush, query_only, length), q, k, v in zip(flags, job.q, job.k, job.v, strict=True):
            if query_only:
                yield self._head.query(q)
                continue
            if flush or self._empty:
                self._head.flush(int(length))
            self._empty = False
            yield self._head.step(q, k, v)
