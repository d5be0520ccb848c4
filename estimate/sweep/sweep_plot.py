"""Plot of a sweep: the attention error against what it costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogFormatter, PercentFormatter

from common.plots import plot_file
from estimate.sweep.design import Design
from estimate.sweep.points import Point

__all__ = ["plot"]

PANELS = (
    ("energy_j", 1e-9, "log", "energy of a token, nJ"),
    ("latency_s", 1e-9, "linear", "latency of a token, ns"),
    ("area_m2", 1e-6, "log", "area of a head, mm²"),
)
OTHERS, HERE = "#c9c9c9", "black"
MARKERS = "osD^vPX*"
COLOURS = "viridis"


class _Plain(LogFormatter):
    """Labels between the powers of ten where there is less than one of them, without exponents."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def plot(points: Sequence[Point], here: Design, path: Path) -> Path:
    """Error against energy, latency and area at the leakage of `here`, the front by window.

    Points beside the front are grey; `here` is ringed if it is among them. The file's suffix says
    which format.
    """
    shown = [point for point in points if point.design.leakage == here.leakage] or points
    with plot_file(path, 10.5, 4.2) as figure:
        panels = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (field, scale, kind, label) in zip(panels, PANELS, strict=True):
            _panel(axes, shown, here, field, scale, kind)
            axes.set_xlabel(label)
        panels[0].set_ylabel("attention error, relative RMS")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
        front = sum(point.pareto for point in shown)
        leakage = f"leakage {shown[0].design.leakage:g} a token"
        figure.suptitle(f"{len(shown)} designs, {front} on a front; {leakage}", fontsize=10)
    return path


def _panel(
    axes: Axes, points: Sequence[Point], here: Design, field: str, scale: float, kind: str
) -> None:
    def draw(chosen: Sequence[Point], marker: str, **style: Any) -> None:
        x = [getattr(point.costs, field) / scale for point in chosen]
        axes.plot(x, [point.error for point in chosen], marker, **style)

    draw([p for p in points if not p.pareto], ".", ms=3, color=OTHERS, label="not on a front")
    windows = sorted({point.design.window for point in points})
    colours = matplotlib.colormaps[COLOURS]
    for number, window in enumerate(windows):
        chosen = [p for p in points if p.pareto and p.design.window == window]
        colour = colours(number / max(1, len(windows) - 1) * 0.9)
        marker = MARKERS[number % len(MARKERS)]
        draw(chosen, marker, ms=4, color=colour, label=f"front, window {window}")
    ring = {"ms": 11, "mfc": "none", "mew": 1.4, "color": HERE}
    draw([p for p in points if p.design == here], "o", **ring, label="the specification itself")
    axes.set_xscale(kind)
    if kind == "log":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(_Plain())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(bottom=0)
