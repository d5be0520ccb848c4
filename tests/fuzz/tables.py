"""Readers of the estimate: its tables, what was measured, and what was co-simulated."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from analog_models.spec import load_preset
from analog_models.timing import predict
from analog_models.workload import Workload
from common.files import write_json
from estimate.measure import FROM_SYNTHESIS, LIBRARIES, collect
from estimate.measured import MEASURED, Measured, load_measured
from estimate.models import LanguageModel, load_models
from estimate.peers import load_peers
from estimate.quantities import Table, load_table, preset_path
from estimate.validate import validate
from tests.fuzz.mutations import damaged_folder, damaged_json
from tests.fuzz.reading import Reader

FILE = "file.json"
SPEC = load_preset()


def _tree(name: str, most: int = 3) -> Any:
    """A shipped table, its first entries, so that a failure can be read."""
    tree = json.loads(preset_path(name).read_text())
    return tree[:most] if isinstance(tree, list) else dict(list(tree.items())[:most])


def _check_table(table: Table, folder: Path) -> None:
    groups: dict[str, Any] = {}
    for name, quantity in table.quantities.items():
        assert 0 < quantity.value < math.inf and quantity.source
        group, _, field = name.partition(".")
        groups.setdefault(group, {})[field] = quantity._asdict()
    again = load_table(write_json(folder / FILE, groups))
    assert again.quantities == table.quantities


def _check_models(models: dict[str, LanguageModel], folder: Path) -> None:
    tree = {name: model.model_dump() for name, model in models.items()}
    assert load_models(write_json(folder / FILE, tree)) == models
    assert all(model.group >= 1 and model.weights > 0 for model in models.values())


def _check_peers(rows: list[dict[str, Any]], folder: Path) -> None:
    assert load_peers(write_json(folder / FILE, rows)) == rows


def _check_measured(measured: Measured, _: Path) -> None:
    assert measured.spec == SPEC and measured.synthesis
    numbers = [
        *measured.activity.values(),
        *(x for r in measured.activity_range.values() for x in r),
    ]
    assert all(0 <= x < math.inf for x in numbers)
    for cycles in measured.cycles.values():
        assert cycles["latency"] > 0 and cycles["between"] > 0


def _run(schedule: int) -> dict[str, Any]:
    """What `cosim.timing` writes of one workload."""
    workload = Workload.of(4, schedule)
    timing = predict(SPEC, workload)
    columns = {name: [int(x) for x in column] for name, column in vars(workload).items()}
    observed = {kind: getattr(timing, kind).tolist() for kind in ("accepted", "finished")}
    about = {"name": f"run {schedule}", "spec": "spec.json", "spec_hash": SPEC.hash, "heads": 1}
    return about | {"tokens": 4, "columns": columns, "observed": observed, "wall_s": 1.0}


ORIGIN = {"git": {"commit": "c", "dirty": False}, "time_utc": "t", "packages": {"numpy": "2"}}
TIMING = {"simulator": "icarus 11", **ORIGIN, "workloads": [_run(n) for n in range(3)]}


def _check_validation(result: dict[str, Any], folder: Path) -> None:
    write_json(folder / FILE, result)  # which fails for a number that is not finite
    assert result["accuracy"] <= 1 and result["times_faster_full_size"] >= 0


def _check_collected(tree: dict[str, Any], folder: Path) -> None:
    _check_measured(load_measured(write_json(folder / FILE, tree)), folder)


def _one(
    name: str, tree: Any, load: Callable[[Path], Any], check: Callable[[Any, Path], None]
) -> Reader:
    damaged = damaged_json(tree).map(lambda content: {FILE: content})
    return Reader(name, {FILE: json.dumps(tree).encode()}, damaged, lambda f: load(f / FILE), check)


def _results() -> dict[str, Any]:
    """The results that `estimate.measure` collects, by the path below the build folder."""
    measured = json.loads(MEASURED.read_text())
    common = {"spec_hash": SPEC.hash, **ORIGIN}
    synthesis = {
        f"synth-{name}": {
            key: measured["synthesis"][name][key] for key in (*FROM_SYNTHESIS, "components")
        }
        | common
        for name in LIBRARIES
    }
    activity = {"activity": {"activity": measured["activity"], **common}}
    return {"timing": TIMING, **activity, **synthesis}


def _collect(folder: Path) -> dict[str, Any]:
    """`collect` of files that lie beside each other."""
    for path in [*folder.glob("*.json")]:
        (folder / path.stem).mkdir()
        path.rename(folder / path.stem / "result.json")
    return collect(folder)


def _readers() -> Iterator[Reader]:
    for name in ("circuits", "engines", "gpus", "published"):
        yield _one(f"table of {name}", _tree(name), load_table, _check_table)
    yield _one("models", _tree("models"), load_models, _check_models)
    yield _one("peers", _tree("peers"), load_peers, _check_peers)
    yield _one("measured", json.loads(MEASURED.read_text()), load_measured, _check_measured)
    files = {FILE: json.dumps(TIMING).encode(), "spec.json": json.dumps(SPEC.to_tree()).encode()}
    timed = damaged_folder(files, {FILE: damaged_json(TIMING)})
    yield Reader("timing", files, timed, lambda f: validate(f / FILE), _check_validation)
    results = _results()
    files = {f"{name}.json": json.dumps(tree).encode() for name, tree in results.items()}
    damaged = {f"{name}.json": damaged_json(tree) for name, tree in results.items()}
    yield Reader(
        "results to measure", files, damaged_folder(files, damaged), _collect, _check_collected
    )


READERS = [*_readers()]
