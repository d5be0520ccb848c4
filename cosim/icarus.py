"""Icarus Verilog: interpreted, compiles in no time; the reference."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cocotb_tools.runner import get_runner

from analog_models.errors import ToolError
from cosim.simulator import TESTBENCH, TIMESCALE, Simulator

__all__ = ["Icarus"]


class Icarus(Simulator):
    """Icarus Verilog as Debian ships it."""

    name = "icarus"
    title = "Icarus Verilog"
    compile_s = 5
    waves = ".fst"

    def check(self) -> None:
        if not (shutil.which("iverilog") and shutil.which("vvp")):
            raise ToolError("Icarus Verilog (iverilog, vvp) is not on PATH: `make sim` installs it")

    def version(self) -> str:
        words = subprocess.run(["iverilog", "-V"], capture_output=True, text=True).stdout.split()
        return words[3] if len(words) > 3 else "unknown"

    def place(self) -> Path:
        return Path(shutil.which("vvp") or "").resolve()

    def compile(
        self, sources: Sequence[Path], parameters: Mapping[str, int], folder: Path, waves: bool
    ) -> None:
        try:
            get_runner(self.name).build(
                sources=sources,
                hdl_toplevel=TESTBENCH,
                parameters=parameters,
                build_dir=folder,
                timescale=TIMESCALE,
                waves=waves,
                always=True,
                log_file=folder / "build.log",
            )
        except RuntimeError as error:
            raise ToolError(f"iverilog failed: see {folder / 'build.log'}") from error

    def run_options(self, waves: Path | None) -> dict[str, Any]:
        return {
            "timescale": TIMESCALE,
            "test_args": ["-n"],  # an interrupt ends vvp instead of starting its console
            "plusargs": [f"+dumpfile_path={waves.resolve()}"] if waves else [],
        }
