"""Drawings beside others' figures: the paper's, GPUs, peers."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analog_models.spec import HardwareSpec
from estimate.gpu import attention_work, gpus
from estimate.published import gpu_title
from estimate.references import PUBLISHED
from estimate.report.bars import new_figure
from estimate.report.svg import DEEP, INK, Drawing, drawing
from estimate.report.wording import shown

__all__ = ["comparison_drawings"]

Tree = Mapping[str, Any]
COMMAND = "make estimate"
OURS, THEIRS, LIMIT = DEEP[1], DEEP[0], DEEP[2]
TERA = 1e12


def comparison_drawings(spec: HardwareSpec, tree: Tree) -> Iterator[Drawing]:
    """All of them; tree: of `Estimate.to_tree`."""
    yield _published(tree)
    yield _gpus(tree)
    yield _roofline(tree)
    yield _peers(tree)


def _published(tree: Tree) -> Drawing:
    rows = tree["published"]
    figure = new_figure(0.7 + 0.25 * len(rows))
    axes = figure.subplots()
    for y, row in enumerate(rows):
        axes.plot([1 - row["tolerance"], 1 + row["tolerance"]], [y, y], color=INK, alpha=0.25, lw=6)
        face = "none" if row["calibrated"] else THEIRS
        axes.plot(row["ratio"], y, "o", mfc=face, mec=THEIRS, ms=6.5, mew=1.5, ls="none")
    axes.plot([], [], "o", color=THEIRS, label="predicted")
    axes.plot([], [], "o", mfc="none", mec=THEIRS, mew=1.5, label="calibrated: counts for nothing")
    axes.plot([], [], color=INK, alpha=0.25, lw=6, label="tolerance")
    axes.axvline(1, color=INK, lw=1)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("ours / published")
    figure.legend(loc="outside upper left", ncols=3)
    off = [row["name"] for row in rows if not row["within"]]
    return drawing(
        figure,
        "published",
        "Our figures relative to the published ones",
        f"One point for each of {len(rows)} figures, with its tolerance. "
        + (f"Outside: {', '.join(off)}." if off else "All lie within their tolerance."),
        "Ours over published. A full point is a prediction, a hollow one only comes back out; the "
        "bar is the tolerance stated before.",
        COMMAND,
    )


def _gpus(tree: Tree) -> Drawing:
    figure = new_figure(3.6)
    time, energy = figure.subplots(2, 1)
    head = next(iter(tree["heads"].values()))
    heads = PUBLISHED["comparison.heads"]
    _gpu_axis(time, tree, "measured_s", "roofline_s")
    time.axvline(head["latency_s"], color=OURS, lw=2, label="gain cells (co-simulated cycles)")
    time.set_xlabel("seconds for a token's attention, 12 heads")
    _gpu_axis(energy, tree, "measured_j", "")
    for row, y in zip(tree["gpus"], range(len(tree["gpus"])), strict=True):
        energy.plot(row["roofline_s"] * row["board_w"], y, "D", mfc="none", mec=LIMIT, ms=6)
    for basis, dash in (("synthesis", "-"), ("published", ":")):
        joules = heads * head["energy_j"][basis]["value"]
        energy.axvline(joules, color=OURS, lw=2, ls=dash, label=f"gain cells, digital: {basis}")
    energy.set_xlabel("joules for a token's attention, 12 heads")
    time.legend(loc="upper center", bbox_to_anchor=(0.45, 1.02), fontsize=7.5)
    energy.legend(loc="upper center", bbox_to_anchor=(0.45, 1.02), fontsize=7.5)
    figure.legend(*_gpu_legend(time), loc="outside upper left", ncols=2)
    ours = shown(head["latency_s"], "s")
    found = "; ".join(
        f"{gpu_title(row['gpu'])}: roofline {shown(row['roofline_s'], 's')}, "
        f"published {shown(row.get('measured_s'), 's')}"
        for row in tree["gpus"]
    )
    return drawing(
        figure,
        "gpus",
        "Attention of one token: gain cells beside GPUs, on a log scale",
        f"Time above, energy below. Gain cells: {ours}. {found}.",
        "What the paper measured on GPUs, and what the same GPUs could do if only their memory "
        "bandwidth counted (roofline; its energy at full board power).",
        COMMAND,
    )


def _gpu_axis(axes: Axes, tree: Tree, published: str, roofline: str) -> None:
    rows = tree["gpus"]
    for y, row in enumerate(rows):
        if published in row:
            axes.plot(row[published], y, "o", color=THEIRS, ms=7)
        if roofline:
            axes.plot(row[roofline], y, "D", mfc="none", mec=LIMIT, ms=6)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [gpu_title(row["gpu"]) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _gpu_legend(axes: Axes) -> tuple[list[Any], list[str]]:
    published = axes.plot([], [], "o", color=THEIRS, ms=7)[0]
    limit = axes.plot([], [], "D", mfc="none", mec=LIMIT, ms=6, ls="none")[0]
    return [published, limit], ["GPU as published", "GPU at its roofline"]


def _roofline(tree: Tree) -> Drawing:
    heads, window = (round(PUBLISHED[f"comparison.{key}"]) for key in ("heads", "window"))
    work = attention_work(heads, window)
    intensity = work.flop / work.bytes
    figure = new_figure(3.4)
    axes = figure.subplots()
    x = np.geomspace(0.1, 3000, 100)
    for i, (name, gpu) in enumerate(gpus().items()):
        roof = np.minimum(gpu.peak_flop_per_s, x * gpu.bandwidth_byte_per_s) / TERA
        axes.plot(x, roof, color=DEEP[i % len(DEEP)], lw=1.8, label=gpu_title(name))
        if f"{name}.token_s" in PUBLISHED:
            reached = work.flop / PUBLISHED[f"{name}.token_s"] / TERA
            axes.plot(intensity, reached, "o", color=DEEP[i], ms=7)
    axes.axvline(intensity, color=INK, ls="--", lw=1)
    axes.annotate(
        f"attention: {intensity:g} operation a byte",
        *((intensity, 0.003), (4, 0)),
        textcoords="offset points",
        fontsize=8,
    )
    latency_s = next(iter(tree["heads"].values()))["latency_s"]
    ours = work.flop / latency_s / TERA
    axes.axhline(ours, color=INK, lw=1.4, ls=":")
    axes.annotate(
        f"{heads} heads of gain cells", (intensity, ours), (4, 4), textcoords="offset points"
    )
    axes.set(xscale="log", yscale="log", xlabel="operations per byte read from memory")
    axes.set_ylabel("10¹² operations per second")
    axes.legend(loc="lower right")
    return drawing(
        figure,
        "roofline",
        "Rooflines of the GPUs, with what the paper measured on them",
        f"Attention of one token needs {intensity:g} operation per byte, far left of every ridge. "
        f"{heads} heads of gain cells do {ours:.3g} tera-operations a second.",
        "Rooflines of the GPUs and the published times as points. Decoding reads each key and "
        "value once for so few operations that GPUs wait for memory; gain cells read nothing.",
        COMMAND,
    )


def _peers(tree: Tree) -> Drawing:
    rows = [row for row in tree["peers"] if "op_per_s_m2" in row]
    figure = new_figure(4.2)
    axes = figure.subplots()
    others = [colour for colour in DEEP if colour != OURS]
    for i, row in enumerate(rows):
        ours = row["source"] == "estimate"
        x, y = row["op_per_s_m2"] / 1e18, row["op_per_s_w"] / TERA
        label = row["name"] + ("" if row["node_nm"] is None else f" ({row['node_nm']} nm)")
        look: dict[str, Any] = {"marker": "osD^v"[i % 5], "color": others[i % 7], "ms": 7}
        if ours:  # filled: with our gates
            face = "none" if "published" in row["name"] else OURS
            look = {"marker": "*", "color": OURS, "mfc": face, "ms": 12}
        axes.plot(x, y, ls="none", label=label, **look)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("10¹² operations per second and mm²")
    axes.set_ylabel("10¹² operations per second and W")
    figure.legend(loc="outside upper left", fontsize=7.5)
    return drawing(
        figure,
        "peers",
        "Published systems and this project's head: operations per area and per energy",
        f"{len(rows)} points on two log scales; the values are in the table.",
        "Those of the peers that state both. Nodes, number formats and what is counted differ: the "
        "drawing places, it does not rank.",
        COMMAND,
    )
