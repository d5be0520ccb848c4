"""Stacked horizontal bars with their values in them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from estimate.report.svg import BRIGHT, WIDTH_IN

__all__ = ["new_figure", "stacked_bars"]

LETTER_SHARE = 0.018  # of the axis, that a letter takes


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """A figure as wide as the page's column."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def stacked_bars(
    axes: Axes,
    labels: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    written: str = "{:,.2f}",
    totals: Sequence[str] = (),
    columns: int = 3,
) -> None:
    """One bar for each label, from the top; parts: of each bar, in units of the axis.

    written: format of a part's number. totals: text behind each bar.
    """
    position, left = np.arange(len(labels)), np.zeros(len(labels))
    most = max(sum(values[i] for values in parts.values()) for i in range(len(labels)))
    for i, (name, values) in enumerate(parts.items()):
        bars = axes.barh(
            position,
            values,
            left=left,
            height=0.68,
            color=BRIGHT[i % len(BRIGHT)],
            label=name,
            lw=0.8,
        )
        axes.bar_label(
            bars,
            [_fitting(written.format(v), v / most) for v in values],
            label_type="center",
            color="black",
            fontsize=8,
        )
        left += np.asarray(values)
    for y, (x, text) in enumerate(zip(left, totals, strict=False)):
        axes.annotate(
            text, (x, y), (4, 0), textcoords="offset points", va="center", fontweight="bold"
        )
    axes.set_yticks(position, labels)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    if totals:
        axes.set_xlim(0, most * 1.2)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=columns)


def _fitting(text: str, share: float) -> str:
    """`text` if a part of that share of the longest bar is wide enough for it."""
    return text if share > LETTER_SHARE * (len(text) + 0.5) else ""
