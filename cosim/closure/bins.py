"""The functional coverage model: what has to happen at least once, as cover points and crosses.

Points and crosses are those of cocotb-coverage. A token is sampled after its job has run, because
only then is known what its pulses and counts were.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from cocotb_coverage.coverage import CoverCross, CoverPoint, coverage_db, coverage_section

from analog_models.spec import HardwareSpec
from cosim.closure.stimulus import LENGTHS, length_class
from cosim.reference.batch import windows
from cosim.run.job import Job

__all__ = [
    "IMPOSSIBLE",
    "SIX",
    "CoverageModel",
    "Event",
    "back_pressure",
    "declared_points",
    "events",
]

BACK_PRESSURE = ("none", "gap", "stall", "both")
WRAP = ("not full", "just full", "wrapped")
SATURATION = ("none", "phi", "count", "both")
SIGN = ("zero", "positive", "negative", "mixed")
FLUSH = (*WRAP, "at the first token")
QUERY = ("first", "second", "third or later", "of an empty window")
ROOT = "head"
SIX = ("schedule", "back-pressure", "length", "wrap", "saturation", "sign")
CROSSES = {
    "all six": SIX,
    "schedule x flush": ("schedule", "flush"),
    "schedule x query": ("schedule", "query"),
    "change x back-pressure": ("change", "back-pressure"),
}
IMPOSSIBLE = (
    ({"length": "1", "wrap": "not full"}, "the first token fills a window of one"),
    ({"sign": "zero", "saturation": "count"}, "a count at its largest is not zero"),
    ({"sign": "zero", "saturation": "both"}, "a count at its largest is not zero"),
)
"""Crosses that cannot happen, and why; they are not declared."""


class Event(NamedTuple):
    """What one token was, in the words of the bins; None where a point does not apply.

    flush: how full the window was that a flush emptied. query: the place of a further query behind
    its token. change: the schedule before and its own, where they differ.
    """

    schedule: str
    back_pressure: str
    length: str
    wrap: str
    saturation: str
    sign: str
    flush: str | None
    query: str | None
    change: tuple[str, str] | None


def events(spec: HardwareSpec, job: Job, rows: np.ndarray, counts: np.ndarray) -> Iterator[Event]:
    """The tokens of a job with the pulses [token, slot] and counts [token, sub-tile, d] it gave."""
    names = [*spec.schedules]
    schedule = [names[n if n < len(names) else 0] for n in job.schedule]
    pressure = back_pressure(job)
    flat = counts.reshape(job.tokens, -1)
    saturation = _pairs(rows == spec.converter.t_max_ps, np.abs(flat) == spec.levels.count_max)
    sign = _pairs(flat > 0, flat < 0)
    window = windows(spec, job)
    wrap = [
        WRAP[int(np.sign(w - n)) + 1] for w, n in zip(window.written, window.length, strict=True)
    ]
    run = 0
    for i in range(job.tokens):
        run = run + 1 if job.query_only[i] else 0
        empty = window.written[i] == 0
        starts = bool(window.written[i] == 1 and not job.query_only[i])
        yield Event(
            schedule=schedule[i],
            back_pressure=pressure[i],
            length=length_class(spec, window.length[i]),
            wrap=wrap[i],
            saturation=SATURATION[saturation[i]],
            sign=SIGN[sign[i]],
            flush=_flushed(wrap, i) if starts and job.flush[i] else None,
            query=(QUERY[-1] if empty else QUERY[min(run, 3) - 1]) if run else None,
            change=(schedule[i - 1], schedule[i]) if i and schedule[i] != schedule[i - 1] else None,
        )


def _pairs(first: np.ndarray, second: np.ndarray) -> list[int]:
    """Whether anything of a token is in the first, and twice whether anything is in the second."""
    return (np.any(first, axis=1) + 2 * np.any(second, axis=1)).tolist()


def back_pressure(job: Job) -> list[str]:
    """What each token had to bear: it was offered late, its result was taken late."""
    return [BACK_PRESSURE[i] for i in _pairs(job.gaps[:, None] > 0, job.stalls[:, None] > 0)]


def _flushed(wrap: list[str], token: int) -> str:
    return wrap[token - 1] if token else FLUSH[-1]


def declared_points(spec: HardwareSpec) -> dict[str, list[Any]]:
    """Bins of every cover point."""
    names = [*spec.schedules]
    return {
        "schedule": names,
        "back-pressure": [*BACK_PRESSURE],
        "length": [*LENGTHS],
        "wrap": [*WRAP],
        "saturation": [*SATURATION],
        "sign": [*SIGN],
        "flush": [*FLUSH],
        "query": [*QUERY],
        "change": [*permutations(names, 2)],
    }


class CoverageModel:
    """Declared bins and their hits; cocotb-coverage keeps them once per process, so a new model
    forgets the one before.

    points: bins by point (`declared_points`); the crosses follow from them. `sample(event)` counts.
    """

    def __init__(self, points: Mapping[str, Sequence[Any]]) -> None:
        coverage_db.clear()
        items = [
            CoverPoint(f"{ROOT}.{name}", xf=_field(name), bins=[*bins])
            for name, bins in points.items()
        ]
        for name, crossed in CROSSES.items():
            paths = [f"{ROOT}.{point}" for point in crossed]
            items.append(CoverCross(f"{ROOT}.{name}", paths, _ignored(crossed)))
        self._names = [*points, *CROSSES]
        self.sample: Callable[[Event], None] = coverage_section(*items)(_nothing)

    def hits(self) -> dict[str, dict[Any, int]]:
        """Hits of every bin, by point or cross."""
        return {name: dict(coverage_db[f"{ROOT}.{name}"].detailed_coverage) for name in self._names}

    def missing(self, name: str) -> set[Any]:
        """Bins of a point or cross that have not been hit."""
        return {one for one, hits in self.hits()[name].items() if not hits}


def _ignored(crossed: Sequence[str]) -> list[tuple[str | None, ...]]:
    """`IMPOSSIBLE` as cocotb-coverage wants it: a pattern per cross, None for any bin."""
    return [
        tuple(bins.get(point) for point in crossed)
        for bins, _ in IMPOSSIBLE
        if set(bins) <= set(crossed)
    ]


def _field(point: str) -> Callable[[Event], Any]:
    name = point.replace("-", "_")
    return lambda event: getattr(event, name)


def _nothing(event: Event) -> None:
    """What the cover points decorate: they sample its argument."""
