"""Plots of an adaptation from its log: losses, validation perplexity, and the error of each layer.

Written at the end of ml.adapt; this command writes them at any time.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.errors import ArtefactError, run_command
from common.plots import plot_file
from ml.adapt.journal import LOG_FILE, read_log

LAYER_ERRORS = {
    "attention": "attention output, from the teacher's input",
    "stream": "residual stream, normalised",
}


def curves(records: list[dict[str, Any]], name: str) -> list[tuple[str, list[float], list[float]]]:
    """Stage, tokens seen in all stages so far, and values of `name`, for each stage that has it."""
    found: list[tuple[str, list[float], list[float]]] = []
    before = 0.0
    for stage in dict.fromkeys(record["stage"] for record in records):
        steps = [r for r in records if r["stage"] == stage and "step" in r]
        points = [(before + r["tokens"], r[name]) for r in steps if name in r]
        if points:
            found.append((stage, *map(list, zip(*points, strict=True))))  # pyright: ignore
        before += max((r["tokens"] for r in steps), default=0)
    return found


def plot_loss(records: list[dict[str, Any]], axes: Axes) -> None:
    """Training loss of each stage; what it is differs from stage to stage."""
    for stage, tokens, losses in curves(records, "train_loss"):
        axes.plot(tokens, losses, linewidth=0.8, label=stage)
    axes.set(xlabel="tokens seen", ylabel="training loss of the stage", yscale="log")


def plot_perplexity(records: list[dict[str, Any]], axes: Axes) -> None:
    """Validation perplexity against tokens seen, the teacher's as a line."""
    for stage, tokens, losses in curves(records, "validation_loss"):
        axes.plot(tokens, [math.exp(loss) for loss in losses], marker=".", label=stage)
    teacher = [r["perplexity"] for r in records if r["stage"] == "teacher" and "perplexity" in r]
    if teacher:
        axes.axhline(teacher[-1], color="black", linestyle=":", label="teacher")
    axes.set(xlabel="tokens seen", ylabel="validation perplexity", yscale="log")


def plot_layers(records: list[dict[str, Any]], figure: Figure) -> None:
    """Relative error of each layer after each stage."""
    panels = figure.subplots(1, len(LAYER_ERRORS))
    for axes, (name, title) in zip(panels, LAYER_ERRORS.items(), strict=True):
        for record in records:
            if errors := record.get("layer_errors"):
                axes.plot(errors[name], marker=".", label=record["stage"])
        axes.set(xlabel="layer", ylabel="squared error / variance", yscale="log", title=title)
        axes.legend(*axes.get_legend_handles_labels())


def write_plots(folder: Path) -> list[Path]:
    """Write all plots of the run in `folder`. Raises ArtefactError where there is no log."""
    records = read_log(folder)
    if not records:
        raise ArtefactError(f"{folder / LOG_FILE}: no such file, or empty")
    return [
        _write(folder / "loss.png", lambda figure: _single(figure, records, plot_loss)),
        _write(folder / "perplexity.png", lambda figure: _single(figure, records, plot_perplexity)),
        _write(folder / "layers.png", lambda figure: plot_layers(records, figure), wide=True),
    ]


def _single(
    figure: Figure,
    records: list[dict[str, Any]],
    plot: Callable[[list[dict[str, Any]], Axes], None],
) -> None:
    axes = figure.subplots()
    plot(records, axes)
    axes.legend(*axes.get_legend_handles_labels())


def _write(path: Path, draw: Callable[[Figure], None], wide: bool = False) -> Path:
    with plot_file(path, 11.0 if wide else 7.0, 4.2) as figure:
        draw(figure)
    return path


def main(argv: list[str] | None = None) -> int:
    """Command line of the plots."""
    parser = argparse.ArgumentParser(prog="ml.adapt.plots", description=__doc__)
    parser.add_argument("folder", type=Path, help="what ml.adapt was given as --out")
    for path in write_plots(parser.parse_args(argv).folder):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    run_command(main)
