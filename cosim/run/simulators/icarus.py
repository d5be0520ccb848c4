"""Icarus Verilog: interpreted, compiles in no time; the reference."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import cocotb_tools.config

from common.errors import ToolError
from common.processes import run
from cosim.run.simulators.simulator import TESTBENCH, Simulator, compile_with

__all__ = ["Icarus"]

PROGRAM = "sim.vvp"
DUMP = f"""\
module dump;
  string path;
  initial if ($value$plusargs("dumpfile_path=%s", path)) begin
    $dumpfile(path);
    $dumpvars(0, {TESTBENCH});
  end
endmodule
"""


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
        words = run(["iverilog", "-V"], capture_output=True).stdout.split()
        return words[3] if len(words) > 3 else "unknown"

    def place(self) -> Path:
        return Path(shutil.which("vvp") or "").resolve()

    def compile(
        self, sources: Sequence[Path], parameters: Mapping[str, int], folder: Path, waves: bool
    ) -> None:
        settings, dump = folder / "settings.f", folder / "dump.v"
        settings.write_text("+timescale+1ps/1ps\n", "utf-8")
        command = ["iverilog", "-g2012", "-o", str(folder / PROGRAM), "-s", TESTBENCH]
        command += [f"-P{TESTBENCH}.{name}={value}" for name, value in parameters.items()]
        command += [f"-I{folder}", "-f", str(settings), *map(str, sources)]
        if waves:
            dump.write_text(DUMP, "utf-8")
            command += ["-s", "dump", str(dump)]
        compile_with([command], folder)

    def command(self, build: Path, waves: Path | None) -> list[str]:
        # -n: a signal ends vvp instead of starting its console.
        command = ["vvp", "-m", cocotb_tools.config.lib_entry("vpi", self.name), "-n"]
        dump = ["-fst", f"+dumpfile_path={waves.resolve()}"] if waves else ["-none"]
        return [*command, str(build / PROGRAM), *dump]
