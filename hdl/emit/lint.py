"""Lint the Verilog of a head and of a core, and its simulation view, with all Verilator warnings.

    python -m hdl.emit.lint [--spec NAME] [--heads N] [--out DIR]

Exits with 1 if there is a warning that neither `lint.vlt` nor, for what Amaranth and Yosys write,
`lint_names.vlt` justifies.
"""

import argparse
from collections.abc import Iterable
from importlib.util import find_spec as find_module
from pathlib import Path

from analog_models.spec import DEFAULT_PRESET, find_spec
from common import processes
from common.arguments import natural
from common.errors import ToolError, run_command
from hdl.core import MAX_HEADS
from hdl.emit.verilog import CORE, TOP, VIEW, emit, emit_core

__all__ = ["NAMES", "WAIVERS", "lint", "verilator_root"]

WAIVERS = Path(__file__).with_name("lint.vlt")
NAMES = Path(__file__).with_name("lint_names.vlt")
"""What is waived besides for Verilog as Amaranth and Yosys write it."""


def verilator_root() -> Path:
    """Where the Python package of Verilator lies. Raises `ToolError` without one."""
    found = find_module("verilator")
    if found is None or found.origin is None:
        raise ToolError("Verilator is not installed: `make lint-verilog` installs it")
    return Path(found.origin).parent


def lint(verilog: Path, waivers: Iterable[Path] | None = None) -> str:
    """What Verilator says of a file that `emit` wrote; empty if it is clean.

    waivers: files of what it may say; by default those of this kind of file. Raises `ToolError`
    without Verilator.
    """
    top = verilog.stem.removesuffix(VIEW)
    if waivers is None:
        waivers = [WAIVERS] if verilog.stem.endswith(VIEW) else [WAIVERS, NAMES]
    root = verilator_root()
    command = [str(root / "bin" / "verilator_bin"), "--lint-only", "-Wall"]
    command += ["--top-module", top, *map(str, waivers), str(verilog)]
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
        for name, kind in ((top, ""), (f"{top}{VIEW}", "simulation view of ")):
            path = args.out / f"{name}.v"
            said = lint(path)
            faults += bool(said)
            verdict = "FAULT" if said else "clean"
            print(f"{path}: {kind}{what} of {spec.name}, {verdict}\n{said}", end="")
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
