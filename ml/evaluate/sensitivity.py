"""Perplexity of the shipped adapted model on hardware that it was not adapted to.

    python -m ml.evaluate.sensitivity [--texts N] [--quick] [--only NAME ...]

One quantity at a time: window, levels, leakage, and each imperfection at multiples of its typical
size; nothing is trained again. Points that sensitivity.csv holds already are not computed again, so
an interrupted run goes on where it was.
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

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.arguments import natural, seed_number
from common.errors import ArtefactError, brief, run_command
from common.files import read_text, write_json, write_text
from common.provenance import provenance
from ml.errors import SettingError
from ml.evaluate.imperfect import imperfect
from ml.evaluate.perplexity import perplexity, texts_of
from ml.evaluate.sensitivity_plots import plot_sweeps
from ml.evaluate.sweeps import Sweep, rescaled, sweeps
from ml.models.shipped import ADAPTED, PACKAGES
from ml.small.model import LanguageModel
from ml.small.shipped import digest, load_adapted
from ml.train import heldout

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


def measure(model: LanguageModel, spec: HardwareSpec, texts: Tensor, seed: int) -> float:
    """Perplexity of `model`, as `load_adapted` gives it, on the hardware of `spec`."""
    noise = torch.Generator().manual_seed(seed)
    with rescaled(model, spec), imperfect(model, spec, noise):
        return perplexity(model, texts)


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


def run_id(adapted: Path, spec: HardwareSpec, texts: Tensor, seed: int) -> str:
    """What all points of one analysis share, as 16 hexadecimal digits."""
    shared = [digest(adapted), spec.ideal.codes_hash, texts.tolist(), seed]
    return hashlib.sha256(json.dumps(shared).encode()).hexdigest()[:16]


def analyse(
    model: LanguageModel,
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
        print(
            f"[{i + 1:3}/{len(left)}] {name:22} {value:10.4g} {unit:10} perplexity {found:9.3f}"
            f"  x {found / ideal:7.4f}  {seconds:6.1f} s",
            flush=True,
        )
    return points


def describe(
    options: argparse.Namespace, spec: HardwareSpec, texts: Tensor, points: list[Point]
) -> dict[str, Any]:
    """The content of result.json."""
    fields = ("sweep", "unit", "value", "perplexity", "ratio_to_ideal")
    return {
        **spec.hashes,
        "preset": spec.name,
        "adapted": {"file": options.adapted.name, "sha256": digest(options.adapted)},
        "texts": len(texts),
        "tokens": texts[:, 1:].numel(),
        "seed": options.seed,
        "attention": "exact, float64; imperfections: causal_attention, float64",
        "ideal_perplexity": points[0].perplexity,
        "rows": [{name: getattr(p, name) for name in fields} for p in points[1:]],
        **provenance((*PACKAGES, "matplotlib")),
    }


def main(argv: list[str] | None = None) -> int:
    """Command line of the sensitivity analysis."""
    options = _parser().parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    spec = find_spec(options.spec)
    chosen = sweeps(spec)
    if unknown := set(options.only or ()) - {sweep.name for sweep in chosen}:
        names = ", ".join(repr(sweep.name) for sweep in chosen)
        raise SettingError(f"only is {sorted(unknown)[0]!r}, must be of {names}")
    chosen = [sweep for sweep in chosen if not options.only or sweep.name in options.only]
    if options.quick:
        chosen = [replace(sweep, values=sweep.values[::QUICK_STRIDE]) for sweep in chosen]
    model = load_adapted(spec, options.adapted)
    count = options.texts or (QUICK_TEXTS if options.quick else TEXTS)
    texts = texts_of(heldout.load_joined(), model.config.context, count)
    folder = options.out or (FOLDER / "quick" if options.quick else FOLDER)
    path = folder / "sensitivity.csv"
    run = run_id(options.adapted, spec, texts, options.seed)
    points = analyse(model, spec, chosen, texts, path, run, options.seed)
    write_json(folder / "result.json", describe(options, spec, texts, points))
    title = f"Shipped model, {texts[:, 1:].numel():,} held-out tokens, nothing trained again"
    print(f"table:  {path}\nresult: {folder / 'result.json'}")
    for plot in plot_sweeps(chosen, points, title, folder):
        print(f"plot:   {plot}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml.evaluate.sensitivity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help="hardware: a preset or a JSON file")
    add(
        "--texts",
        type=natural(1),
        help=f"texts of 256 tokens ({TEXTS}; with --quick {QUICK_TEXTS})",
    )
    add("--quick", action="store_true", help="few values on little text, into a folder of its own")
    add("--only", action="append", metavar="NAME", help="this sweep; may be given several times")
    add("--adapted", type=Path, default=ADAPTED, help="checkpoint")
    add("--seed", type=seed_number, default=0, help="of noise (0)")
    add("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    add("--out", type=Path, help=f"folder ({FOLDER})")
    return parser


if __name__ == "__main__":
    run_command(main, resumable=True)
