"""Drawings of whole models: where time and energy go, long texts, sensitivities, perplexity."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from analog_models.spec import HardwareSpec, overlaid
from estimate.report.bars import new_figure, stacked_bars
from estimate.report.svg import DEEP, INK, Drawing, drawing
from estimate.report.wording import cut, shown

__all__ = ["length_drawing", "model_drawings", "perplexity_drawing", "sensitivity_drawings"]

Tree = Mapping[str, Any]
COMMAND = "make estimate"
LONGEST_LABEL = 50  # characters: names from a file may be of any length, and a drawing is not
LEAST_EFFECT = 0.02  # of energy or area: smaller sensitivities are left out
OVERLAY, TOGETHER = "typical", "all together"
NAMED = 5  # imperfections that are named, those that cost most


def model_drawings(tree: Tree) -> Iterator[Drawing]:
    """Where time and energy of a token go, long sequences, and what the circuits decide."""
    yield _shares(tree)
    yield length_drawing(tree)
    yield _parameters(tree)


def _shares(tree: Tree) -> Drawing:
    rows = tree["systems"]["models"]
    model = rows[0]["model"]
    rows = [row for row in rows if row["model"] == model]
    figure = new_figure(5.0)
    panels = figure.subplots(2, 1)
    kinds = (("decode_s", "step_s", "s", "time"), ("decode_j", "token_j", "J", "energy"))
    names = dict.fromkeys(
        name for row in rows for key in ("decode_s", "decode_j") for name in row[key]
    )
    for axes, (key, total, unit, word) in zip(panels, kinds, strict=True):
        parts = {
            name: [100 * row[key].get(name, 0.0) / row[total] for row in rows] for name in names
        }
        totals = [shown(row[total], unit) for row in rows]
        stacked_bars(axes, [row["engine"] for row in rows], parts, "{:.0f} %", totals)
        axes.set_xlabel(f"share of a token's {word}, %")
        axes.set_xticks(range(0, 101, 20))
    for legend in figure.legends[1:]:
        legend.remove()
    attention = "; ".join(
        f"{row['engine']}: {row['decode_s']['attention'] / row['step_s']:.2%} of the time, "
        f"{row['decode_j']['attention'] / row['token_j']:.2%} of the energy"
        for row in rows
    )
    return drawing(
        figure,
        "systems",
        f"Where the time and the energy of a token of {model} go, by engine",
        f"Stacked bars of shares. Attention: {attention}.",
        f"{model}, one sequence, window of {rows[0]['window']:,}: attention in gain cells, the "
        "rest on the engine named. Behind each bar is the total.",
        COMMAND,
    )


def length_drawing(tree: Tree) -> Drawing:
    """Energy and chips against the length of the sequence."""
    rows = tree["systems"]["lengths"]
    figure = new_figure(2.7)
    energy, chips = figure.subplots(1, 2)
    models = list(dict.fromkeys(row["model"] for row in rows))
    for i, model in enumerate(models):
        own = [row for row in rows if row["model"] == model]
        window = own[0]["window"]
        kinds = {
            f"{model}, window {window:,}": ([r for r in own if r["window"] == window], "-"),
            f"{model}, whole text": ([own[0], *(r for r in own if r["window"] > window)], ":"),
        }
        for label, (found, dash) in kinds.items():
            length = [row["length"] for row in found]
            look = {"color": DEEP[i], "ls": dash, "marker": "o", "ms": 4}
            energy.plot(length, [row["token_j"] for row in found], **look, label=label)
            chips.plot(length, [row["chips"] for row in found], **look)
    for axes, title in ((energy, "energy of a token, J"), (chips, "chips")):
        axes.set(xscale="log", yscale="log", title=title, xlabel="tokens")
    figure.legend(loc="outside upper left", ncols=2, fontsize=7.5)
    last = rows[-1]
    return drawing(
        figure,
        "lengths",
        "Energy per token and chips against the length of the text",
        f"Flat with a sliding window. With a window as long as the text, {last['model']} at "
        f"{last['length']:,} tokens takes {last['chips']:,} chips and "
        f"{shown(last['token_j'], 'J')} a token.",
        f"Long texts on {rows[0]['engine']}: a sliding window costs the same at any length, a "
        "window as long as the text takes arrays in proportion.",
        COMMAND,
    )


def _parameters(tree: Tree) -> Drawing:
    found = {
        name: of
        for name, of in tree["sensitivity"].items()
        if max(abs(of["energy"]), abs(of["area"])) >= LEAST_EFFECT
    }
    names = sorted(found, key=lambda name: -max(abs(x) for x in found[name].values()))
    figure = new_figure(0.7 + 0.24 * len(names))
    axes = figure.subplots()
    for offset, (key, label) in zip(
        (-0.2, 0.2), (("energy", "energy"), ("area", "area")), strict=True
    ):
        values = [found[name][key] for name in names]
        position = [y + offset for y in range(len(names))]
        axes.barh(position, values, height=0.38, color=DEEP[key == "area"], label=label)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("relative change per relative change of the parameter")
    axes.legend(loc="lower right")
    return drawing(
        figure,
        "parameters",
        "Which circuit parameters decide energy and area of a head",
        f"Two bars for each of {len(names)} parameters; the largest is {names[0]}.",
        "Sensitivity of a token's energy and of a head's area: 0.5 means that a parameter 10 % "
        f"larger gives 5 % more. Parameters below {LEAST_EFFECT:g} in both are left out.",
        COMMAND,
    )


def sensitivity_drawings(spec: HardwareSpec, result: Tree) -> Iterator[Drawing]:
    """Perplexity on other hardware; result: of `make sensitivity`."""
    sweeps: dict[str, list[Any]] = {}
    for row in result["rows"]:
        sweeps.setdefault(row["sweep"], []).append(row)
    typical = overlaid(spec.ideal, OVERLAY).imperfections.model_dump()
    sizes = {name: size for name, size in typical.items() if size} | {TOGETHER: 1.0}
    design = {name: rows for name, rows in sweeps.items() if name not in sizes}
    imperfections = {name: rows for name, rows in sweeps.items() if name in sizes}
    if design:
        yield _design(spec, design, result)
    if imperfections:
        yield _imperfections(imperfections, sizes, result)


def _design(spec: HardwareSpec, sweeps: Mapping[str, Sequence[Tree]], result: Tree) -> Drawing:
    here = {
        "window": spec.geometry.window,
        "levels of q": spec.levels.q,
        "levels of k and v": spec.levels.kv,
        "largest output count": spec.levels.count_max,
        "leakage": spec.leakage.decay_per_token,
    }
    figure = new_figure(0.5 + 1.75 * -(-len(sweeps) // 2))
    panels = figure.subplots(-(-len(sweeps) // 2), 2, sharey=True, squeeze=False).flatten()
    for axes, (name, rows) in zip(panels, sweeps.items(), strict=False):
        binary = max(row["value"] for row in rows) > 1
        axes.set_xscale("log", base=2 if binary else 10)
        if binary:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        if name in here:
            axes.axvline(here[name], color=DEEP[1], ls="--", lw=1.2)
        _increase(axes, rows, [row["value"] for row in rows], color=DEEP[0])
        axes.set_title(cut(f"{name} ({rows[0]['unit']})", LONGEST_LABEL), fontsize=8.5)
    for axes in panels[len(sweeps) :]:
        axes.set_axis_off()
    figure.supylabel("increase of perplexity", fontsize=8.5)
    return drawing(
        figure,
        "design",
        "Perplexity against window, levels and leakage",
        "One panel for each quantity, the preset dashed: flat around it and above, steep below.",
        "Increase of perplexity over the ideal hardware, one quantity changed at a time and "
        "nothing trained again. Dashed: the specification of this report.",
        _command(result),
    )


def _command(result: Tree) -> str:
    return f"make sensitivity TEXTS={result['texts']}"


def _increase(axes: Axes, rows: Sequence[Tree], x: Sequence[float], **look: Any) -> None:
    """Per cent above the ideal, on a scale that is linear below one."""
    points = sorted(zip(x, (100 * (row["ratio_to_ideal"] - 1) for row in rows), strict=True))
    axes.plot(*zip(*points, strict=True), marker="o", ms=3.5, lw=1.4, **look)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_yticks([-1, 0, 1, 10, 100, 1000])
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))


def _imperfections(
    sweeps: Mapping[str, Sequence[Tree]], sizes: Mapping[str, float], result: Tree
) -> Drawing:
    figure = new_figure(3.3)
    axes = figure.subplots()
    worst = sorted(sweeps, key=lambda name: -max(r["ratio_to_ideal"] for r in sweeps[name]))
    named = [name for name in worst if name != TOGETHER][:NAMED]
    for name, rows in sweeps.items():
        multiples = [row["value"] / sizes[name] for row in rows]
        if name == TOGETHER:
            look: dict[str, Any] = {"color": INK, "ls": "--", "label": name}
        elif name in named:
            look = {"color": DEEP[named.index(name)], "label": name}
        else:
            look = {"color": DEEP[-1], "alpha": 0.5}
        _increase(axes, rows, multiples, **look)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"× {x:g}"))
    axes.set(xlabel="times its typical size", ylabel="increase of perplexity")
    figure.legend(loc="outside upper left", ncols=3, fontsize=8)
    return drawing(
        figure,
        "imperfections",
        "Perplexity against each imperfection of the analog side",
        f"{len(sweeps)} lines; those that cost most: {', '.join(named)}.",
        "Each imperfection alone at multiples of its typical size, and all together (dashed). The "
        "grey lines are the others, which cost less.",
        _command(result),
    )


def perplexity_drawing(rows: Sequence[Tree]) -> Drawing:
    """rows: model, stage, perplexity and ratio_to_teacher of each."""
    figure = new_figure(0.6 + 0.27 * len(rows))
    axes = figure.subplots()
    models = list(dict.fromkeys(row["model"] for row in rows))
    for y, row in enumerate(rows):
        axes.plot(row["ratio_to_teacher"], y, "o", color=DEEP[models.index(row["model"])], ms=7)
        text = f"{row['ratio_to_teacher']:.3f}"
        axes.annotate(
            *(text, (row["ratio_to_teacher"], y), (8, 0)),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    several = len(models) > 1
    labels = [
        cut((f"{row['model']}: " if several else "") + row["stage"], LONGEST_LABEL) for row in rows
    ]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_xlim(0.85, 2 * max(row["ratio_to_teacher"] for row in rows))
    axes.set_xlabel("perplexity / that of the teacher")
    found = "; ".join(
        f"{label}: {row['perplexity']:.2f}" for label, row in zip(labels, rows, strict=True)
    )
    return drawing(
        figure,
        "perplexity",
        "Perplexity of every stage, relative to the softmax teacher",
        f"One point for each stage on a log scale. {found}.",
        "From the teacher over the naive swap to the adapted model; 1 is as good as softmax "
        "attention.",
        "make eval",
    )
