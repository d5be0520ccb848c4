"""Drawings of one head: schedules, energy, area, and the digital part."""

from collections.abc import Iterator, Mapping
from typing import Any

from analog_models.spec import HardwareSpec
from estimate.report.bars import new_figure, stacked_bars
from estimate.report.svg import BRIGHT, INK, PAGE, Drawing, drawing
from estimate.report.wording import shown

__all__ = ["head_drawings"]

Tree = Mapping[str, Any]
COMMAND = "make estimate"
PHASES = {
    "write_k": ("K arrays", "write k"),
    "write_v": ("V arrays", "write v"),
    "reset_k": ("K integrators", "reset"),
    "reset_v": ("V integrators", "reset"),
    "score": ("K arrays", "q · k"),
    "activate": ("V arrays", "φ · v"),
    "read_out": ("V integrators", "read out"),
}
"""Where each phase of a schedule happens, and what it is called."""
LANES = tuple(dict.fromkeys(lane for lane, _ in PHASES.values()))
NARROW = 8  # cycles: a shorter phase is named in smaller letters
LARGEST_PARTS = 6


def head_drawings(spec: HardwareSpec, tree: Tree) -> Iterator[Drawing]:
    """All of them; tree: of `Estimate.to_tree`."""
    yield _timeline(spec)
    yield _energy(tree)
    yield _area(tree)
    yield _digital(tree)


def _timeline(spec: HardwareSpec) -> Drawing:
    schedules = spec.schedules
    figure = new_figure(0.35 + 1.12 * len(schedules))
    all_axes = figure.subplots(len(schedules), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, schedule) in zip(all_axes, schedules.items(), strict=True):
        for i, (phase, (lane, label)) in enumerate(PHASES.items()):
            cycles = schedule.phases[phase]
            axes.barh(
                LANES.index(lane), len(cycles), left=cycles.start, height=0.8, color=BRIGHT[i]
            )
            size = 7.5 if len(cycles) > NARROW else 5.8
            centre = (cycles.start + cycles.stop) / 2
            axes.text(
                centre, LANES.index(lane), label, ha="center", va="center", color="black", size=size
            )
        axes.axvline(schedule.period, color=INK, ls="--", lw=1)
        axes.set_yticks(range(len(LANES)), LANES, fontsize=7.5)
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_title(f"{name}: a token every {schedule.period} cycles", loc="left")
    all_axes[-1].set_xlabel(
        f"clock cycle of a token ({shown(spec.clock.t_clk_ps * 1e-12, 's')} each)"
    )
    periods = ", ".join(f"{name} {s.period}" for name, s in schedules.items())
    return drawing(
        figure,
        "timeline",
        "What a head does with a token, cycle by cycle",
        f"One panel for each schedule, time to the right. Cycles between tokens: {periods}.",
        "Phases of one token in each schedule, from the specification. The dashed line is "
        "where the next token begins; phases behind it run beside those of the next tokens.",
        "make estimate",
    )


def _energy(tree: Tree) -> Drawing:
    bases = {"synthesis": "our gates", "published": "published 4 nJ"}
    labels, bars, totals = [], [], []
    for name, head in tree["heads"].items():
        for basis, title in bases.items():
            energy = head["energy_j"][basis]
            labels.append(f"{name}\n{title}")
            bars.append({part["name"]: part["value"] * 1e9 for part in energy["parts"]})
            totals.append(shown(energy["value"], "J"))
    figure = new_figure(0.9 + 0.44 * len(labels))
    axes = figure.subplots()
    parts = {name: [bar[name] for bar in bars] for name in bars[0]}
    stacked_bars(axes, labels, parts, totals=totals, columns=2)
    axes.set_xlabel("energy of a token and head, nJ")
    sums = "; ".join(
        f"{a.replace(chr(10), ', ')}: {b}" for a, b in zip(labels, totals, strict=True)
    )
    return drawing(
        figure,
        "energy",
        "Energy of one token in one head, by schedule and basis of the digital part",
        f"Stacked bars. {sums}.",
        "Energy of a token in each schedule: the window full, signals as busy as on real text. "
        "The first product is calibrated, the published 4 nJ are taken as they are, the rest is "
        "predicted.",
        COMMAND,
    )


def _area(tree: Tree) -> Drawing:
    labels = list(tree["heads"])
    trees = [head["area_m2"] for head in tree["heads"].values()]
    bars = [{part["name"]: part["value"] * 1e6 for part in area["parts"]} for area in trees]
    largest = sorted(bars[0], key=lambda name: -bars[0][name])[:LARGEST_PARTS]
    parts = {name: [bar[name] for bar in bars] for name in largest}
    parts["everything else"] = [
        sum(value for name, value in bar.items() if name not in largest) for bar in bars
    ]
    totals = [shown(area["value"], "m2") for area in trees]
    figure = new_figure(1.1 + 0.5 * len(labels))
    axes = figure.subplots()
    stacked_bars(axes, labels, parts, written="{:.3f}", totals=totals, columns=2)
    axes.set_xlabel("area of a head, mm²")
    sums = "; ".join(f"{a}: {b}" for a, b in zip(labels, totals, strict=True))
    return drawing(
        figure,
        "area",
        "Area of one head by component and schedule",
        f"Stacked bars. {sums}.",
        "Area of a head. A schedule with two capacitors per column, so that one integrates while "
        "the other is converted, pays for them in converters.",
        COMMAND,
    )


def _digital(tree: Tree) -> Drawing:
    rows = {}
    for library, of in tree["digital"].items():
        rows[f"{library}, scaled"] = (of["cells_j"] * 1e9, (of["energy_j"] - of["cells_j"]) * 1e9)
    published = next(iter(tree["digital"].values()))["published_j"] * 1e9
    rows["published"] = (published, 0.0)
    figure = new_figure(0.8 + 0.36 * len(rows))
    axes = figure.subplots()
    parts = {
        "gates": [a for a, _ in rows.values()],
        "wires and buffer": [b for _, b in rows.values()],
    }
    totals = [shown(sum(row) * 1e-9, "J") for row in rows.values()]
    stacked_bars(axes, list(rows), parts, totals=totals)
    axes.patches[len(rows) - 1].set(facecolor=BRIGHT[-1], edgecolor=PAGE)
    axes.set_xlabel("digital energy of a token and head, nJ")
    sums = "; ".join(f"{a}: {b}" for a, b in zip(rows, totals, strict=True))
    return drawing(
        figure,
        "digital",
        "Digital energy of a token from two syntheses and as published",
        f"Stacked bars. {sums}.",
        "Energy of control and routing: gates of our RTL from two cell libraries, scaled to 28 nm, "
        "with the wires that synthesis does not know, and the published figure (grey).",
        COMMAND,
    )
