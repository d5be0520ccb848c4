"""Perplexity of an adapted model on hardware that it was not adapted to.

    python -m ml.evaluate.sensitivity [--model NAME] [--texts N] [--quick] [--only NAME ...]

One quantity at a time: window, levels, leakage, and each imperfection at multiples of its typical
size; nothing is trained again. Points that sensitivity.csv holds already are not computed again, so
an interrupted run goes on where it was. Each line says how long the points that are left will take.
"""

import argparse
import csv
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analog_models.spec import HardwareSpec
from common.arguments import natural, seed_number
from common.errors import ArtefactError, brief, run_command
from common.files import read_text, write_json, write_text
from common.progress import ProgressLine
from common.provenance import provenance
from ml.errors import SettingError
from ml.evaluate.imperfect import imperfect
from ml.evaluate.perplexity import perplexity
from ml.evaluate.sensitivity_plots import plot_sweeps
from ml.evaluate.subject import CONTEXT, MODEL_HELP, Subject, find_subject
from ml.evaluate.sweeps import Sweep, sweeps
from ml.models.families import GainCellModel
from ml.models.shipped import PACKAGES, SHIPPED

FOLDER = Path("build/sensitivity")
TEXTS, QUICK_TEXTS = 8, 1
QUICK_STRIDE = 3  # every so many values
IDEAL = "ideal"


class Point(NamedTuple):
    """One line of the CSV. hardware: what decides codes, a hash; run: model, texts, and seed."""

    sweep: str
    unit: str
    value: float
    perplexity: float
    ratio_to_ideal: float
    seconds: float
    hardware: str
    run: str


def hardware_id(spec: HardwareSpec) -> str:
    """Hash of all that decides codes, imperfections included."""
    return spec.codes_hash if spec.imperfections.off else spec.hash


def measure(model: GainCellModel, spec: HardwareSpec, texts: Tensor, seed: int) -> float:
    """Perplexity of `model` on the hardware of `spec`."""
    noise, line = torch.Generator().manual_seed(seed), ProgressLine()
    with imperfect(model, spec, noise):
        return perplexity(model, texts, lambda n: line.show(f"text {n} of {len(texts)}"))


def read_points(path: Path, run: str) -> list[Point]:
    """The points of a CSV, none where there is no file.

    Raises ArtefactError for another run's, and for a table that is damaged.
    """
    if not os.path.lexists(path):
        return []
    table = csv.DictReader(io.StringIO(read_text(path)), strict=True)
    try:
        if table.fieldnames is None or set(table.fieldnames) != set(Point._fields):
            raise ValueError(f"needs the columns {', '.join(Point._fields)}")
        rows = [_point(row) for row in table]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        why = brief(error)
        raise ArtefactError(f"{path}: not a table of this command ({why}); remove it") from error
    if any(row.run != run for row in rows):
        raise ArtefactError(
            f"{path}: of another model, text count, or seed; remove it or choose another --out"
        )
    if rows and rows[0].sweep != IDEAL:
        raise ArtefactError(f"{path}: does not begin with the point {IDEAL!r}; remove it")
    return rows


def _point(row: dict[Any, Any]) -> Point:
    """Raises KeyError, TypeError or ValueError for a row that is not one of ours."""
    if None in row or None in row.values():
        raise ValueError(f"needs {len(Point._fields)} values in each row")
    kinds = Point.__annotations__
    point = Point(**{name: kinds[name](row[name]) for name in Point._fields})
    if not all(0 < x < math.inf for x in (point.perplexity, point.ratio_to_ideal)):
        raise ValueError(f"perplexity of {point.sweep} is no positive number")
    if not 0 <= point.seconds < math.inf:
        raise ValueError(f"seconds of {point.sweep} are negative or not finite")
    return point


def write_points(path: Path, points: Iterable[Point]) -> Path:
    """Write the CSV, whole."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Point._fields)
    table.writerows(points)
    return write_text(path, text.getvalue())


def run_id(weights: str, spec: HardwareSpec, texts: Tensor, seed: int) -> str:
    """What all points of one analysis share, as 16 hexadecimal digits; weights: their SHA-256."""
    shared = [weights, spec.ideal.codes_hash, texts.tolist(), seed]
    return hashlib.sha256(json.dumps(shared).encode()).hexdigest()[:16]


def analyse(
    model: GainCellModel,
    spec: HardwareSpec,
    chosen: list[Sweep],
    texts: Tensor,
    path: Path,
    run: str,
    seed: int,
) -> list[Point]:
    """All points of the sweeps, the ideal one first; written to `path` as they come."""
    points = read_points(path, run)
    known = {point.hardware: point for point in points}
    wanted = [(IDEAL, "", math.nan, spec.ideal)]
    wanted += [(s.name, s.unit, x, s.at(spec.ideal, x)) for s in chosen for x in s.values]
    done = {(point.sweep, point.hardware) for point in points}
    left = [item for item in wanted if (item[0], hardware_id(item[3])) not in done]
    took: dict[bool, list[float]] = {True: [], False: []}
    for i, (name, unit, value, hardware) in enumerate(left):
        key, start = hardware_id(hardware), time.perf_counter()
        same = known.get(key)
        found = same.perplexity if same else measure(model, hardware, texts, seed)
        ideal = points[0].perplexity if points else found
        seconds = 0.0 if same else round(time.perf_counter() - start, 2)
        point = Point(name, unit, value, found, found / ideal, seconds, key, run)
        points.append(point)
        known[key] = point
        write_points(path, points)
        if not same:
            took[hardware.imperfections.off].append(seconds)
        rest = [item[3].imperfections.off for item in left[i + 1 :]]
        print(
            f"[{i + 1:3}/{len(left)}] {name:22} {value:10.4g} {unit:10} perplexity {found:9.3f}"
            f"  x {found / ideal:7.4f}  {seconds:6.1f} s{_left(took, rest)}",
            flush=True,
        )
    return points


def _left(took: dict[bool, list[float]], rest: list[bool]) -> str:
    """How long the points that are left will take, at the mean of those of their kind so far.

    Both by whether the hardware is ideal.
    """
    means = {kind: sum(seconds) / len(seconds) for kind, seconds in took.items() if seconds}
    minutes = sum(means.get(kind, 0.0) for kind in rest) / 60
    more = "" if set(rest) <= means.keys() else "more than "
    return f", {more}{minutes:.0f} min left" if minutes >= 1 or (rest and more) else ""


def describe(subject: Subject, texts: Tensor, points: list[Point], seed: int) -> dict[str, Any]:
    """The content of result.json."""
    fields, spec = ("sweep", "unit", "value", "perplexity", "ratio_to_ideal"), subject.spec
    return {
        **spec.hashes,
        "preset": spec.name,
        "adapted": subject.weights,
        "texts": len(texts),
        "tokens": texts[:, 1:].numel(),
        "seed": seed,
        "attention": f"{subject.attention}; imperfections: causal_attention, float64",
        "ideal_perplexity": points[0].perplexity,
        "rows": [{name: getattr(p, name) for name in fields} for p in points[1:]],
        **provenance((*PACKAGES, "matplotlib")),
    }


def main(argv: list[str] | None = None) -> int:
    """Command line of the sensitivity analysis."""
    options = _parser().parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    subject = find_subject(options.model, options.spec)
    spec, texts = (
        subject.spec,
        subject.texts(options.texts or (QUICK_TEXTS if options.quick else TEXTS)),
    )
    chosen = chosen_sweeps(sweeps(spec, texts.shape[1] - 1), options.only, options.quick)
    folder = options.out or subject.below(FOLDER) / ("quick" if options.quick else "")
    path = folder / "sensitivity.csv"
    run = run_id(subject.weights["sha256"], spec, texts, options.seed)
    points = analyse(subject.model, spec, chosen, texts, path, run, options.seed)
    write_json(folder / "result.json", describe(subject, texts, points, options.seed))
    title = f"{subject.title}, {texts[:, 1:].numel():,} held-out tokens, nothing trained again"
    print(f"table:  {path}\nresult: {folder / 'result.json'}")
    for plot in plot_sweeps(chosen, points, title, folder):
        print(f"plot:   {plot}")
    return 0


def chosen_sweeps(found: list[Sweep], only: list[str] | None, quick: bool) -> list[Sweep]:
    """Those of the names in `only`, with few values where it has to be `quick`.

    Raises SettingError for a name that none has.
    """
    if unknown := set(only or ()) - {sweep.name for sweep in found}:
        names = ", ".join(repr(sweep.name) for sweep in found)
        raise SettingError(f"only is {sorted(unknown)[0]!r}, must be of {names}")
    chosen = [sweep for sweep in found if not only or sweep.name in only]
    return [replace(s, values=s.values[::QUICK_STRIDE]) for s in chosen] if quick else chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml.evaluate.sensitivity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", default=SHIPPED, help=MODEL_HELP)
    add("--spec", help="preset or JSON file of the hardware it was adapted to (its own)")
    text = f"texts of at most {CONTEXT} tokens ({TEXTS}; with --quick {QUICK_TEXTS})"
    add("--texts", type=natural(1), help=text)
    add("--quick", action="store_true", help="few values on little text, into a folder of its own")
    add("--only", action="append", metavar="NAME", help="this sweep; may be given several times")
    add("--seed", type=seed_number, default=0, help="of noise (0)")
    add("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    add("--out", type=Path, help=f"folder ({FOLDER}; of another model than shipped: in it)")
    return parser


if __name__ == "__main__":
    run_command(main, resumable=True)
