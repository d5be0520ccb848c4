"""Design-space exploration: schedule, sub-tile, window, levels and leakage of one head.

    python -m estimate sweep [--subtile N ...] [--window N ...] [--kv-levels N ...] ...

Every combination of the values is a design. Of each: energy and latency of a token, area, and the
attention error: the root mean square of the output minus that of attention without the hardware's
limits (signals not quantised, no leakage, every token in the window, outputs neither saturated nor
counted), over that of the latter, a mean over the heads, on held-out text. Written are all designs
(sweep.csv), the Pareto front (result.json) and a plot. A design that the specification refuses is
written with the reason. Errors are kept as they come: an interrupted run goes on where it was.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec, load_preset
from common.arguments import natural, number, seed_number, worker_count
from common.files import write_json
from common.provenance import provenance
from common.tables import table
from estimate.circuits.calibration import calibrated
from estimate.errors import EstimateError
from estimate.head import BASES
from estimate.measured import MEASURED, load_measured
from estimate.report.wording import quantity
from estimate.sweep.design import AXES, Axes, Design, default_axes, design_of
from estimate.sweep.points import (
    OBJECTIVES,
    Costs,
    Point,
    costs_of,
    mark_front,
    sort_out,
    write_csv,
)
from estimate.sweep.run import available_workers, error_key, find_errors, identity_of
from estimate.sweep.signals import GOLDEN, Text, read_text
from estimate.sweep.sweep_plot import plot

__all__ = ["main"]

MINIMISED = ("energy", "latency", "area", "error")
GIVEN = ("window", "leakage")
MOST_LINES = 24  # of the front on the screen
AXIS_HELP = {
    "schedule": "schedules of the specification",
    "subtile": "slots of a sub-tile",
    "window": "slots of the window",
    "q_levels": "levels of queries",
    "kv_levels": "levels of keys and values",
    "out_bits": "bits of a sub-tile's count, without sign",
    "phi_step_ps": "grid of pulse widths in ps, the activation's and the output's",
    "leakage": "decay of the stored charge per token",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: sweep, write the results and print the front."""
    args = _parse(arguments)
    base = find_spec(args.spec)
    default = default_axes(base)
    axes = Axes(**{axis: getattr(args, axis) or getattr(default, axis) for axis in AXES})
    text = read_text(args.golden, args.tokens, args.seed)
    folder = args.build / "sweep"
    points, refused = sweep(base, axes, text, folder / "errors.json", args)
    points = mark_front(points, args.objectives, args.given)
    here = design_of(base)
    result = _describe(base, axes, text, args, points, refused) | provenance(("numpy",))
    print(_show(points, refused, here, args.given))
    print(f"table: {write_csv(folder / 'sweep.csv', points, refused)}")
    for suffix in ("png", "svg"):
        print(f"plot: {plot(points, here, folder / f'sweep.{suffix}')}")
    print(f"result: {write_json(folder / 'result.json', result)}")
    return 0


def sweep(
    base: HardwareSpec, axes: Axes, text: Text, kept: Path, args: argparse.Namespace
) -> tuple[list[Point], dict[Design, str]]:
    """All designs of the axes: those that are possible, and why the others are not.

    kept: where errors are. Raises `EstimateError` if none is possible or the text does not fit.
    """
    if text.q.shape[-1] != base.geometry.head_dim:
        dim = text.q.shape[-1]
        raise EstimateError(f"geometry.head_dim = {base.geometry.head_dim}: the text has {dim}")
    measured = load_measured(args.measured)
    circuits = calibrated(measured)
    possible, refused = sort_out(base, axes.designs())
    if not possible:
        raise EstimateError(f"no design is possible; the first: {next(iter(refused.values()))}")
    keys = {design: error_key(design, text.tokens) for design in possible}
    wanted = {keys[design]: spec for design, spec in possible.items()}
    print(f"{len(possible)} designs, {len(refused)} refused, {len(wanted)} errors", file=sys.stderr)
    costs: dict[Design, Costs] = {}
    for design, spec in possible.items():  # the leakage costs nothing
        same = design._replace(leakage=0.0)
        if same not in costs:
            costs[same] = costs_of(spec, circuits, measured, args.basis)
    identity = identity_of(base, text, args.seed)
    errors = find_errors(base, text, wanted, kept, identity, args.workers)
    points = [
        Point(design, costs[design._replace(leakage=0.0)], errors[keys[design]])
        for design in possible
    ]
    return points, refused


def _describe(
    base: HardwareSpec,
    axes: Axes,
    text: Text,
    args: argparse.Namespace,
    points: Sequence[Point],
    refused: Mapping[Design, str],
) -> dict[str, Any]:
    """The content of result.json."""
    here = [point.to_tree() for point in points if point.design == design_of(base)]
    heads, tokens, _ = text.q.shape
    return {
        "spec": base.name,
        "spec_hash": base.hash,
        "axes": {axis: list(values) for axis, values in asdict(axes).items()},
        "objectives": {name: OBJECTIVES[name] for name in args.objectives},
        "given": args.given,
        "basis": args.basis,
        "text": {
            "source": text.source,
            "sha256": text.sha256,
            "heads": heads,
            "tokens": tokens,
            "seed": args.seed,
        },
        "error": {
            "unit": "1",
            "definition": "mean over heads of the RMS error relative to the RMS of the reference",
            "reference": "same cells and HardSigmoid; signals not quantised, no leakage, every "
            "token in the window, outputs neither saturated nor counted",
        },
        "designs": len(points),
        "refused": dict(Counter(refused.values()).most_common()),
        "here": here[0] if here else None,
        "front": [point.to_tree() for point in points if point.pareto],
    }


def _show(
    points: Sequence[Point], refused: Mapping[Design, str], here: Design, given: Sequence[str]
) -> str:
    """The front at the specification's own window and leakage, or all, as far as there is room."""

    def as_here(point: Point) -> bool:
        return all(getattr(point.design, axis) == getattr(here, axis) for axis in given)

    front = [point for point in points if point.pareto]
    chosen = sorted([p for p in front if as_here(p)] or front, key=lambda p: p.costs.energy_j)
    same = ", ".join(f"{axis} {getattr(chosen[0].design, axis)}" for axis in given)
    itself = [point for point in points if point.design == here]
    rows = [
        *(_row(point, "") for point in chosen[:MOST_LINES]),
        *(_row(point, " (the specification)") for point in itself),
    ]
    header = ["schedule", "sub-tile", "window", "q", "k, v", "out bits", "leakage"]
    header += ["energy", "latency", "period", "area", "error", "front"]
    lines = [
        f"{len(points)} designs, {len(front)} on the Pareto front, {len(refused)} refused",
        *(f"  refused {n}: {why}" for why, n in Counter(refused.values()).most_common(5)),
        "",
        f"front{' at ' + same if same and all(map(as_here, chosen)) else ''}: {len(chosen)} designs"
        + (f", the {MOST_LINES} of least energy" if len(chosen) > MOST_LINES else ""),
        table(header, rows),
        "",
    ]
    return "\n".join(lines)


def _row(point: Point, remark: str) -> list[object]:
    design, costs = point.design, point.costs
    return [
        design.schedule + remark,
        design.subtile,
        design.window,
        design.q_levels,
        design.kv_levels,
        design.out_bits,
        f"{design.leakage:g}",
        quantity(costs.energy_j, "J"),
        quantity(costs.latency_s, "s"),
        quantity(costs.period_s, "s"),
        quantity(costs.area_m2, "m2"),
        f"{point.error:.2%}",
        "yes" if point.pareto else "no",
    ]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m estimate sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = default_axes(load_preset())
    space = parser.add_argument_group("axes: values, by default some around the specification's")
    for axis in AXES:
        values = getattr(default, axis)
        kind: Callable[[str], Any] = {"schedule": str, "leakage": number()}.get(axis, natural(1))
        text = f"{AXIS_HELP[axis]} ({' '.join(map(str, values))})"
        name, unit = f"--{axis.replace('_', '-')}", "NAME" if kind is str else "X"
        space.add_argument(name, type=kind, nargs="+", metavar=unit, help=text)
    add = parser.add_argument
    text = f"what the front minimises ({' '.join(MINIMISED)})"
    add("--objectives", nargs="+", choices=OBJECTIVES, default=MINIMISED, help=text)
    text = f"axes that nobody chooses: a front for each value ({' '.join(GIVEN)}); none: one front"
    add("--given", nargs="*", choices=AXES, default=GIVEN, metavar="AXIS", help=text)
    add("--basis", choices=BASES, default=BASES[0], help="of the digital energy (synthesis)")
    text = f"to start from: a preset or a JSON file ({DEFAULT_PRESET})"
    add("--spec", default=DEFAULT_PRESET, help=text)
    add("--measured", type=Path, default=MEASURED, help="what was measured")
    add("--golden", type=Path, default=GOLDEN, help="folder of the golden vectors")
    add("--tokens", type=natural(1), metavar="N", help="of the text, the first N (all)")
    add("--seed", type=seed_number, default=0, help="of the signals between the recorded codes (0)")
    cores = available_workers()
    add("--workers", type=worker_count, default=cores, metavar="N", help=f"processes ({cores})")
    add("--build", type=Path, default=Path("build"), help="for results (build)")
    return parser.parse_args(arguments)
