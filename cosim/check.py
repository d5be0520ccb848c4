"""Comparison of what the RTL gave with what was expected."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analog_models.head import GoldenHead, TokenTrace
from analog_models.spec import HardwareSpec
from cosim.job import Job, Outcome

__all__ = ["Mismatch", "compare", "golden_trace"]


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
    counts = golden_trace(spec, job, index).counts[:, dimension]
    differ = np.flatnonzero(counts != outcome.counts[index, :, dimension])
    first = Mismatch(
        head=heads[index],
        token=index - heads.index(heads[index]),
        dimension=dimension,
        got=int(outcome.out[index, dimension]),
        expected=int(expected[index, dimension]),
        subtile=int(differ[0]) if len(differ) else None,
    )
    return int(wrong.sum()), first


def golden_trace(spec: HardwareSpec, job: Job, index: int) -> TokenTrace:
    """What token `index` of a job does in the golden head."""
    head = GoldenHead(spec, int(job.window_length[0]))
    for now in range(index + 1):
        if job.flush[now]:
            head.flush(int(job.window_length[now]))
        trace = head.step(job.q[now], job.k[now], job.v[now])
    return trace
