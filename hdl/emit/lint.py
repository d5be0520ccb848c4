"""Lint the Verilog of a head and of a core with all warnings of Verilator.

    python -m hdl.emit.lint [--spec NAME] [--heads N] [--out DIR]

Exits with 1 if there is a warning that `lint.vlt` does not justify.
"""

import argparse
from importlib.util import find_spec as find_module
from pathlib import Path

from analog_models.spec import DEFAULT_PRESET, find_spec
from common import processes
from common.arguments import natural
from common.errors import ToolError, run_command
from hdl.core import MAX_HEADS
from hdl.emit.verilog import CORE, TOP, emit, emit_core

__all__ = ["WAIVERS", "lint", "verilator_root"]

WAIVERS = Path(__file__).with_name("lint.vlt")


def verilator_root() -> Path:
    """Where the Python package of Verilator lies. Raises `ToolError` without one."""
    found = find_module("verilator")
    if found is None or found.origin is None:
        raise ToolError("Verilator is not installed: `make lint-verilog` installs it")
    return Path(found.origin).parent


def lint(verilog: Path, waivers: Path | None = WAIVERS) -> str:
    """What Verilator says of a file, whose name is that of its top module; empty if it is clean.

    Raises `ToolError` without Verilator.
    """
    root = verilator_root()
    command = [str(root / "bin" / "verilator_bin"), "--lint-only", "-Wall"]
    command += ["--top-module", verilog.stem, *([str(waivers)] if waivers else []), str(verilog)]
    environment = processes.clean_environment() | {"VERILATOR_ROOT": str(root)}
    done = processes.run(command, environment=environment, capture_output=True)
    said = done.stdout + done.stderr
    return said if done.returncode or "%Warning" in said else ""


def main() -> int:
    """Command line: emit, lint and tell."""
    args = _arguments()
    spec = find_spec(args.spec)
    emit(spec, args.out)
    emit_core(spec, args.heads, args.out)
    faults = 0
    for top, what in ((TOP, "a head"), (CORE, f"a core of {args.heads} heads")):
        path = args.out / f"{top}.v"
        said = lint(path)
        faults += bool(said)
        print(f"{path}: {what} of {spec.name}, {'FAULT' if said else 'clean'}\n{said}", end="")
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m hdl.emit.lint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help=f"a preset or a JSON file ({DEFAULT_PRESET})")
    add("--heads", type=natural(1, MAX_HEADS), default=4, metavar="N", help="heads of the core (4)")
    add("--out", type=Path, default=Path("build/lint"), help="output folder (build/lint)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
