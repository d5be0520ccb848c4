"""Points of a sweep: what each design costs, how far its attention is off, or why it is refused."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.spec import HardwareSpec
from common.errors import SpecError
from common.files import write_text
from estimate.head import Head
from estimate.measured import Measured
from estimate.quantities import Table
from estimate.sweep.design import AXES, Design, spec_of
from estimate.sweep.pareto import on_front

__all__ = ["OBJECTIVES", "Costs", "Point", "costs_of", "mark_front", "sort_out", "write_csv"]

OBJECTIVES = {
    "energy": "energy_j",
    "latency": "latency_s",
    "period": "period_s",
    "area": "area_m2",
    "error": "error",
}
"""What may be minimised, and its name in the table."""


@dataclass(frozen=True)
class Costs:
    """Of one head, its window full: latency of a token, time between tokens, energy, area."""

    latency_s: float
    period_s: float
    energy_j: float
    area_m2: float


@dataclass(frozen=True)
class Point:
    """One design that the specification takes; error: of `attention.attention_error`."""

    design: Design
    costs: Costs
    error: float
    pareto: bool = False

    def to_tree(self) -> dict[str, Any]:
        """A flat row, for JSON and CSV."""
        row = self.design._asdict() | asdict(self.costs)
        return row | {"error": self.error, "pareto": self.pareto}


def sort_out(
    base: HardwareSpec, designs: Iterable[Design]
) -> tuple[dict[Design, HardwareSpec], dict[Design, str]]:
    """The designs that are possible with their specifications, the others with the reason.

    Raises `SpecError` for a schedule that `base` does not have.
    """
    possible, refused = {}, {}
    for design in designs:
        base.schedule_number(design.schedule)
        try:
            possible[design] = spec_of(base, design)
        except SpecError as error:
            refused[design] = str(error).removeprefix(f"specification {base.name!r}: ")
    return possible, refused


def costs_of(spec: HardwareSpec, circuits: Table, measured: Measured, basis: str) -> Costs:
    """Costs of a head with one schedule; the activity is that of the measured one."""
    head = Head(spec, circuits, measured, next(iter(spec.schedules)))
    energy_j = head.token_energy(measured.activity, basis).value
    return Costs(head.latency_s, head.period_s, energy_j, head.area().value)


def mark_front(
    points: Sequence[Point], objectives: Sequence[str], given: Sequence[str]
) -> list[Point]:
    """The points, those marked that none with the same values of the axes `given` beats."""
    rows = [point.to_tree() for point in points]
    values = np.array([[row[OBJECTIVES[name]] for name in objectives] for row in rows])
    front = on_front(values, [tuple(row[axis] for axis in given) for row in rows])
    return [
        Point(point.design, point.costs, point.error, bool(best))
        for point, best in zip(points, front, strict=True)
    ]


def write_csv(path: Path, points: Sequence[Point], refused: Mapping[Design, str]) -> Path:
    """All designs, a line each; those refused with the reason and no figures."""
    names = [*AXES, *(f for f in points[0].to_tree() if f not in AXES), "refused"]
    text = io.StringIO()
    table = csv.DictWriter(text, names, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(point.to_tree() for point in points)
    table.writerows(design._asdict() | {"refused": why} for design, why in refused.items())
    return write_text(path, text.getvalue())
