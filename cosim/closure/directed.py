"""Jobs that hit chosen bins: recipes found by trying random jobs in the golden head.

What a token's pulses and counts are depends on its sequence alone, not on the schedule or on
waiting, so a sequence that once made a rare combination makes it again wherever it is needed.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from analog_models.spec import HardwareSpec
from cosim.closure.bins import Event, back_pressure, events
from cosim.closure.stimulus import random_job
from cosim.reference.batch import golden_batch, windows
from cosim.run.job import Job

__all__ = ["Recipes", "directed_job"]

LONGEST = 500  # tokens that a recipe may have, which no sequence of `random_job` reaches
WAITS = (60, 60)  # cycles, of gaps and stalls
Kind = tuple[str, ...]  # length, wrap, saturation and sign of a token
Cross = tuple[str, ...]  # schedule and back-pressure, then a `Kind`


class Recipes:
    """Short beginnings of sequences, by the kind of their last token."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._found: dict[Kind, tuple[Job, list[Kind]]] = {}

    def __getitem__(self, kind: Kind) -> tuple[Job, list[Kind]]:
        """Tokens that end with one of `kind`, and the kind of each."""
        return self._found[kind]

    def __contains__(self, kind: Kind) -> bool:
        return kind in self._found

    def look(self, tokens: int, seed: int) -> None:
        """Try a random job, and keep what is new or shorter than what was known."""
        spec, job = self._spec, random_job(self._spec, tokens, seed)
        golden = golden_batch(spec, job)
        kinds = [_kind(event) for event in events(spec, job, golden.rows, golden.counts)]
        first = windows(spec, job).written == 1
        starts = np.flatnonzero(first & (job.query_only == 0))
        for start, stop in zip(starts, [*starts[1:], tokens], strict=True):
            for end in range(start, stop):
                known = self._found.get(kinds[end])
                if known is None or known[0].tokens > end + 1 - start:
                    self._found[kinds[end]] = (
                        _part(job, int(start), end + 1),
                        kinds[start : end + 1],
                    )


def directed_job(
    spec: HardwareSpec, wanted: Collection[Cross], recipes: Recipes, tokens: int, seed: int
) -> Job | None:
    """A job of about `tokens` tokens that hits as many of `wanted` as fit in; None without recipe.

    The waits of a job follow from its seed, so a recipe is put where its last token will have the
    back-pressure that is wanted.
    """
    names = [*spec.schedules]
    blank = random_job(spec, tokens + LONGEST, seed, WAITS)
    pressure = back_pressure(blank)
    left = deque(sorted(cross for cross in wanted if cross[2:] in recipes))
    parts: list[Job] = []
    place = 0
    while left and place < tokens:
        for _ in range(len(left)):  # the first that gets the back-pressure it wants, else the next
            schedule, wished, *kind = left[0]
            part, kinds = recipes[tuple(kind)]
            if pressure[place + part.tokens - 1] == wished:
                break
            left.rotate(-1)
        parts.append(replace(part, schedule=np.full(part.tokens, names.index(schedule), np.uint8)))
        hit = {(schedule, pressure[place + i], *kind) for i, kind in enumerate(kinds)}
        left = deque(cross for cross in left if cross not in hit)
        place += part.tokens
    if not parts:
        return None
    return replace(Job.join(parts), seed=seed, max_gap=WAITS[0], max_stall=WAITS[1])


def _part(job: Job, start: int, stop: int) -> Job:
    """Some tokens of a job, as a sequence of its own."""
    part = job.take(np.arange(start, stop))
    part.flush[0] = 1
    return part


def _kind(event: Event) -> Kind:
    return event.length, event.wrap, event.saturation, event.sign
