"""Collect what hdl and cosim measured into the file that ships with the estimate.

    python -m estimate.measure [--build DIR] [--out FILE]

Reads `timing/`, `activity/` and `synth-LIBRARY/` below the build folder, which `make measure`
fills; what is not there stays as it was. All must be of the preset as it is.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.spec import HardwareSpec, load_preset
from common.errors import run_command, shown
from common.files import read_json, write_json
from estimate.errors import EstimateError
from estimate.measured import MEASURED, shape_of
from estimate.measured_file import ActivityResult, MeasuredFile, SynthesisResult
from estimate.timing_file import TimedRun, TimingFile

__all__ = ["collect"]

LIBRARIES = ("nangate45", "osu018")
FROM_SYNTHESIS = (
    *("library", "library_title", "node_m", "supply_v", "cells", "flip_flops", "area_um2"),
    *("leakage_w", "random_activity", "energy_by_schedule", "power_period_s"),
)
FROM_COMPONENT = ("component", "cells", "flip_flops", "area_um2", "leakage_w")
FROM_PROVENANCE = ("git", "time_utc", "packages", "simulator", "wall_s", "stream")


def collect(build: Path, before: Path | None = None) -> dict[str, Any]:
    """The content of `measured.json`; `before`: the file as it was, for what `build` lacks.

    Raises `ArtefactError` for a file that is missing or not as its command writes it,
    `EstimateError` for one of another specification or if there is none at all.
    """
    spec = load_preset()
    kept = _kept(spec, before)
    folders = {"cycles": "timing", "activity": "activity"} | {n: f"synth-{n}" for n in LIBRARIES}
    paths = {name: build / folder / "result.json" for name, folder in folders.items()}
    read = {
        name: _read(spec, name, path)
        for name, path in paths.items()
        if path.exists() or name not in kept["sources"]
    }
    if not read:
        raise EstimateError(f"{build}: nothing was measured there; `make measure`")
    sources = {
        name: {key: result[key] for key in FROM_PROVENANCE if key in result}
        for name, result in read.items()
    }
    new = {name: _synthesis(read[name]) for name in LIBRARIES if name in read}
    cycles = _cycles(spec, paths["cycles"], read["cycles"]) if "cycles" in read else kept["cycles"]
    return {
        "spec": {"name": spec.name, "hash": spec.hash, "shape": shape_of(spec)},
        "cycles": cycles,
        "activity": read["activity"]["activity"] if "activity" in read else kept["activity"],
        "synthesis": kept.get("synthesis", {}) | new,
        "sources": kept["sources"] | sources,
    }


def _kept(spec: HardwareSpec, before: Path | None) -> dict[str, Any]:
    """What was measured before, if that was of the same specification."""
    nothing = {"sources": {}}
    if before is None or not before.exists():
        return nothing
    tree = read_json(before)
    about = tree.get("spec") if isinstance(tree, dict) else None
    if isinstance(about, dict) and about.get("hash") != spec.hash:
        return nothing
    MeasuredFile.of(tree, before)
    return tree


def _read(spec: HardwareSpec, name: str, path: Path) -> dict[str, Any]:
    """The result of a command, which has all that is read of it."""
    tree = read_json(path)
    if name == "cycles":  # each of its runs has a specification of its own
        TimingFile.of(tree, path)
        return tree
    found = (ActivityResult if name == "activity" else SynthesisResult).of(tree, path).spec_hash
    if found != spec.hash:
        raise EstimateError(
            f"{path}: of specification {shown(found)}, not of {spec.name} ({spec.hash}); "
            "`make measure`"
        )
    return tree


def _synthesis(result: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{key: row[key] for key in FROM_COMPONENT} for row in result["components"]]
    return {key: result[key] for key in FROM_SYNTHESIS} | {"components": rows}


def _cycles(spec: HardwareSpec, path: Path, tree: Any) -> dict[str, dict[str, int]]:
    """Cycles of every schedule, from full-size workloads that run in one, without a gap."""
    cycles = {}
    for run in TimingFile.of(tree, path).workloads:
        workload = run.workload
        numbers = set(workload.numbers(spec).tolist())
        plain = not (workload.gap.any() or workload.stall.any() or workload.query_only.any())
        if run.spec_hash == spec.hash and run.heads == 1 and plain and len(numbers) == 1:
            name = list(spec.schedules)[numbers.pop()]
            cycles[name] = _even(path, run)
    if missing := set(spec.schedules) - set(cycles):
        raise EstimateError(f"{path}: no run of {', '.join(missing)}; `make measure`")
    return cycles


def _even(path: Path, run: TimedRun) -> dict[str, int]:
    """Latency and period of a run, the same for every token."""
    accepted, finished = (np.array(run.observed.get(kind, [])) for kind in ("accepted", "finished"))
    if len(accepted) != len(finished) or len(accepted) < 2:
        raise EstimateError(f"{path}: {shown(run.name)}: needs as many tokens accepted as finished")
    latencies, periods = set(finished - accepted), set(np.diff(accepted))
    if len(latencies) > 1 or len(periods) > 1:
        raise EstimateError(f"{path}: {shown(run.name)}: not every token took as many cycles")
    return {"latency": int(latencies.pop()), "between": int(periods.pop())}


def main() -> int:
    """Command line: write `measured.json`."""
    parser = argparse.ArgumentParser(
        prog="python -m estimate.measure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--build", type=Path, default=Path("build"), help="where the results are (build)")
    add("--out", type=Path, default=MEASURED, help="file to write (estimate/measured.json)")
    args = parser.parse_args()
    measured = collect(args.build, args.out)
    MeasuredFile.of(measured, args.build)
    print(f"measured: {write_json(args.out, measured)}")
    return 0


if __name__ == "__main__":
    run_command(main)
