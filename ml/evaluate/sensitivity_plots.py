"""Plots of a sensitivity analysis: one panel a sweep, all against the ideal hardware."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from common.plots import plot_file
from ml.evaluate.sweeps import Sweep

COLUMNS = 4
POINTS, HERE, REFERENCE = "#1b6ca8", "#c8553d", "black"
LINEAR_BELOW = 1.0  # per cent: smaller changes are noise of the draw


class Measured(Protocol):
    """What is drawn of a point."""

    sweep: str
    value: float
    ratio_to_ideal: float


def plot_sweeps(
    sweeps: Sequence[Sweep], points: Sequence[Any], title: str, folder: Path
) -> list[Path]:
    """design.png and imperfections.png in `folder`, each where there are such sweeps."""
    kinds = {"design.png": False, "imperfections.png": True}
    return [
        _plot([s for s in sweeps if s.imperfection is kind], points, title, folder / name)
        for name, kind in kinds.items()
        if any(s.imperfection is kind for s in sweeps)
    ]


def _plot(sweeps: Sequence[Sweep], points: Sequence[Any], title: str, path: Path) -> Path:
    columns = min(COLUMNS if len(sweeps) > 6 else 3, len(sweeps))
    rows = -(-len(sweeps) // columns)
    with plot_file(path, 2.9 * columns, 2.4 * rows + 0.5) as figure:
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
        for axes, sweep in zip(panels, sweeps, strict=False):
            _panel(axes, sweep, [p for p in points if p.sweep == sweep.name])
        for axes in panels[len(sweeps) :]:
            axes.set_axis_off()
        figure.supylabel("increase of perplexity over the ideal hardware", fontsize=9)
        figure.suptitle(title, fontsize=10)
    return path


def _panel(axes: Axes, sweep: Sweep, points: Sequence[Measured]) -> None:
    """Per cent over the ideal against the value; a dashed line where the preset or typical is."""
    found = sorted((p.value, 100 * (p.ratio_to_ideal - 1)) for p in points)
    axes.axhline(0, color=REFERENCE, lw=0.8)
    label = "typical" if sweep.imperfection else "preset"
    axes.axvline(sweep.here, color=HERE, ls="--", lw=1, label=f"{label}: {sweep.here:g}")
    axes.plot([x for x, _ in found], [y for _, y in found], "o-", ms=3.5, lw=1.3, color=POINTS)
    axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
    axes.set_yticks([-1, 0, 1, 10, 100, 1000])
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    axes.set_xscale("log", base=sweep.base)
    shown = [x for x, _ in found][:: 1 if sweep.base == 2 else 2]
    axes.set_xticks(sorted({*shown, sweep.here}) if sweep.base == 2 else shown)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(title=sweep.name, xlabel=sweep.unit if sweep.unit != "1" else "fraction")
    axes.legend(fontsize=7, loc="upper left" if sweep.base == 10 else "upper right")
