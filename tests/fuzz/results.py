"""Readers of what other commands left: contracts, results for the report, and unfinished runs."""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from analog_models.spec import load_preset
from common.files import write_json
from common.resume import Kept
from cosim.closure.mutate import KeptVerdicts
from cosim.closure.soak import KeptState
from estimate.report.draw_models import perplexity_drawing, sensitivity_drawings
from estimate.report.origins import origin_tables
from estimate.report.sources import RECORDS, Source, find_sources
from estimate.report.summary import mismatches
from estimate.report.svg import style
from estimate.report.tables_beside import perplexity_rows, perplexity_table
from estimate.report.tables_head import check_tables
from estimate.sweep.run import KeptErrors
from hdl.emit.contract import port_widths, read_contract
from ml.evaluate.sensitivity import IDEAL, Point, read_points, write_points
from tests.estimate.report.conftest import check, validation
from tests.fuzz.mutations import damaged_bytes, damaged_folder, damaged_json
from tests.fuzz.reading import Reader, check_line

FILE, TABLE = "file.json", "table.csv"
SPEC = load_preset()
SWEEPS = ("window", "read_noise_k")
IDENTITY = "0123456789abcdef"


def _port(name: str, direction: str, width: int) -> dict[str, Any]:
    return {"name": name, "direction": direction, "width": width}


def _lanes(offset: int, lanes: int, bits: int, signed: bool = False) -> dict[str, Any]:
    return {"offset": offset, "lanes": lanes, "bits": bits, "signed": signed}


CONTRACT = {
    "top": "attention_head",
    "sha256": "0" * 64,
    "clock": {"port": "clk", "period_ps": 1000},
    "reset": {"port": "rst"},
    "ports": [_port("token__payload", "input", 9), _port("result__payload", "output", 4)],
    "payloads": {
        "token__payload": {"q": _lanes(0, 2, 4), "flush": _lanes(8, 1, 1)},
        "result__payload": {"out": _lanes(0, 2, 2, signed=True)},
    },
}


def _check_contract(contract: dict[str, Any], folder: Path) -> None:
    assert read_contract(write_json(folder / FILE, contract)) == contract
    assert port_widths(contract)["token__payload"] > 0


def _check_sources(sources: Mapping[str, Source], _: Path) -> None:
    """What is not passed over can be shown, in all parts of the page that read it."""
    for source in sources.values():
        check_line(source.note)
    tables = [*check_tables(sources), *origin_tables(SPEC, sources, {}, {})]
    assert all(table.rows for table in tables) and (mismatches(sources) or 0) >= 0
    if rows := perplexity_rows(sources):
        assert perplexity_table(rows).rows and json.dumps(rows, allow_nan=False)
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # by fifty wide letters
        if any(source.state == "measured here" for source in sources.values()) and rows:
            assert perplexity_drawing(rows)
        if result := sources["sensitivity"].result:
            assert all(sensitivity_drawings(SPEC, result)) or not result["rows"]


def _sources(name: str) -> Callable[[Path], dict[str, Source]]:
    """The reader of one of the results: the file lies where its command leaves it."""

    def load(folder: Path) -> dict[str, Source]:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if os.path.lexists(folder / FILE):
            (folder / FILE).rename(path)
        return find_sources(SPEC, folder, folder / "records")

    return load


def _report_results() -> dict[str, Any]:
    """What the report reads, by the path below the build folder."""
    sensitivity = json.loads((RECORDS / "sensitivity.json").read_text())
    few = [next(r for r in sensitivity["rows"] if r["sweep"] == s) for s in SWEEPS]
    row = {"model": "m", "perplexity": 20.0, "ratio_to_teacher": 1.0}
    rows = [row | {"stage": stage} for stage in ("teacher", "linear, adapted")]
    return {
        "verify/result.json": check(SPEC.hash, numpy_mismatches=0),
        "estimate/validation.json": validation(),
        "eval/result.json": {**SPEC.hashes, "rows": rows, "models": {"m": {"tokens": 9}}},
        "sensitivity/result.json": sensitivity | {"rows": few},
        "records/evaluation.json": json.loads((RECORDS / "evaluation.json").read_text()),
    }


POINTS = [
    Point(IDEAL, "", float("nan"), 20.0, 1.0, 0.5, "h0", "run"),
    Point("window", "tokens", 8.0, 25.0, 1.25, 0.5, "h1", "run"),
]


def _check_points(points: list[Point], folder: Path) -> None:
    again = read_points(write_points(folder / TABLE, points), "run")
    assert repr(again) == repr(points)  # as text, where NaN equals itself


def _check_kept(kept: Kept, folder: Path) -> None:
    assert type(kept).read(write_json(folder / FILE, kept.model_dump())) == kept


KEPT = [
    KeptState(identity=IDENTITY, done={"0": 4000, "1": 4000}, faults={"1": "wrong"}, seconds=2.5),
    KeptVerdicts(identity=IDENTITY, verdicts={"-mode inv": "token 3: wrong", "-mode const0": ""}),
    KeptErrors(identity=IDENTITY, errors={"subtile=64": 0.25, "subtile=32": 0.5}),
]


def _one(
    name: str,
    tree: Any,
    load: Callable[[Path], Any],
    check: Callable[[Any, Path], None],
    optional: bool = False,
) -> Reader:
    damaged = damaged_json(tree).map(lambda content: {FILE: content})
    return Reader(name, {FILE: json.dumps(tree).encode()}, damaged, load, check, optional)


def _readers() -> Iterator[Reader]:
    yield _one("port contract", CONTRACT, lambda f: read_contract(f / FILE), _check_contract)
    for path, tree in _report_results().items():
        yield _one(f"report: {path}", tree, _sources(path), _check_sources, optional=True)
    for kept in KEPT:
        kind = type(kept)
        load = lambda f, kind=kind: kind.read(f / FILE)  # noqa: E731
        yield _one(f"unfinished run, {kind.__name__}", kept.model_dump(), load, _check_kept)
    content = ",".join(Point._fields) + "\n" + "\n".join(",".join(map(str, p)) for p in POINTS)
    yield Reader(
        "unfinished sensitivity",
        {TABLE: content.encode()},
        damaged_folder({}, {TABLE: damaged_bytes(content.encode())}),
        lambda f: read_points(f / TABLE, "run"),
        _check_points,
        optional=True,
    )


READERS = [*_readers()]
