"""Runs OpenSTA (2.0.17, which Debian has) on a mapped netlist."""

import shutil
from pathlib import Path

from common.errors import ToolError
from common.processes import run
from hdl.synth.cell_library import CellLibrary

__all__ = ["run_opensta", "setup"]

STA = "sta"


def setup(top: str, library: CellLibrary, components: list[str]) -> str:
    """Commands that load `netlist.v` and know the components.

    components: instance paths, "" for the top module's own cells. `cells_of PATH` gives those cells
    of a component that are in none of the components inside it.
    """
    return f"""
read_liberty {{{library.liberty()}}}
read_verilog netlist.v
link_design {top}
set components {{{" ".join(path for path in components if path)}}}
proc cells_of {{path}} {{
  global components
  set own {{}}
  foreach cell [get_cells [expr {{$path eq "" ? "*" : "$path/*"}}]] {{
    if {{[get_full_name $cell] ni $components}} {{ lappend own $cell }}
  }}
  return $own
}}
foreach port [all_inputs] {{
  if {{[get_full_name $port] ne "clk"}} {{ set_driving_cell -lib_cell {library.driver} $port }}
}}
set_input_transition {library.clock_slew_ns} [get_ports clk]
set_load {library.load_in_file_units} [all_outputs]
"""


def run_opensta(script: str, folder: Path, name: str) -> str:
    """Run `script` in `folder`, leaving `NAME.tcl` and `NAME.rpt` there; returns what it printed.

    Raises `ToolError` if OpenSTA is missing or reports an error.
    """
    program = shutil.which(STA)
    if program is None:
        raise ToolError("OpenSTA (sta) is not on PATH: `make synth` installs it")
    (folder / f"{name}.tcl").write_text(script, "utf-8")
    command = [program, "-no_splash", "-exit", f"{name}.tcl"]
    done = run(command, cwd=folder, capture_output=True)
    report = folder / f"{name}.rpt"
    report.write_text(done.stdout + done.stderr, "utf-8")
    # It goes on after an error, and exits with 0.
    if done.returncode or "Error:" in report.read_text("utf-8"):
        raise ToolError(f"OpenSTA failed: see {report}")
    return done.stdout
