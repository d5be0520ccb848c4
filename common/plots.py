"""Plots that a command writes: one look, and whole files only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from common.files import replacing

__all__ = ["plot_file"]

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
DPI = 110


@contextmanager
def plot_file(path: Path, width_in: float, height_in: float) -> Iterator[Figure]:
    """A figure to draw on, written to `path` at the end; its suffix says in which format."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure
        with replacing(path) as partial:
            figure.savefig(partial, dpi=DPI, format=path.suffix.removeprefix("."))
