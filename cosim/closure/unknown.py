"""Unknown values: that a reset alone brings every pin to a known state, and nothing else is needed.

Silicon has no initial values. Here the Verilog loses its own, so that every register is unknown (X)
until it is reset, and so are all inputs, the reset included, before that.
"""

import re
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from common.errors import ToolError
from common.files import write_text
from common.processes import run

__all__ = ["unknown_pins", "without_initial_values"]

INITIAL = re.compile(r"^(  reg .*?) = \d+'[hd][0-9a-f]+;$", re.MULTILINE)
RESET_CYCLES = 2
RARELY = {"schedule": 512}  # inputs that change every so many cycles, on average


def without_initial_values(verilog: str) -> str:
    """The same Verilog, its registers unknown at the start of a simulation."""
    return INITIAL.sub(r"\1;", verilog)


def unknown_pins(verilog: str, contract: dict[str, Any], cycles: int, folder: Path) -> list[str]:
    """Outputs that had an unknown bit in some of `cycles` cycles after a reset, first ones first.

    The inputs are random, and known, from the cycle on in which the reset ends. Each line names
    the cycle and the pin. Raises `ToolError` without Icarus, which knows unknown values.
    """
    design = write_text(folder / "unknown_design.v", verilog)
    bench = write_text(folder / "unknown_bench.v", _bench(contract, cycles))
    program = folder / "unknown.vvp"
    compiler = ["iverilog", "-g2012", "-o", str(program), str(design), str(bench)]
    try:
        for command in (compiler, ["vvp", "-n", str(program)]):
            done = run(command, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise ToolError("Icarus Verilog is not on PATH: `make sim` installs it") from error
    except CalledProcessError as error:
        raise ToolError(f"{error.cmd[0]} failed: {error.stdout}{error.stderr}") from error
    return done.stdout.splitlines()


def _bench(contract: dict[str, Any], cycles: int) -> str:
    """A testbench around any design with a contract."""
    clock, reset = contract["clock"]["port"], contract["reset"]["port"]
    names = {port["name"] for port in contract["ports"]} | {clock, reset}
    ports = [port for port in contract["ports"] if port["name"] not in (clock, reset)]
    inputs = [port for port in ports if port["direction"] == "input"]
    outputs = [port for port in ports if port["direction"] == "output"]
    declared = [f"  reg [{p['width'] - 1}:0] {p['name']};" for p in inputs]
    declared += [f"  wire [{p['width'] - 1}:0] {p['name']};" for p in outputs]
    change = [_change(port["name"], port["width"]) for port in inputs]
    check = [
        f'    if (^{p["name"]} === 1\'bx) $display("cycle %0d: {p["name"]}", cycle);'
        for p in outputs
    ]
    connections = ", ".join(f".{name}({name})" for name in sorted(names))
    return "\n".join(
        [
            "module bench;",
            f"  reg {clock} = 0, {reset};",
            f"  always #1 {clock} = ~{clock};",
            "  integer cycle;",
            *declared,
            f"  {contract['top']} dut ({connections});",
            "  initial begin",
            f"    repeat ({RESET_CYCLES}) @(negedge {clock});",
            f"    {reset} = 1;",
            f"    repeat ({RESET_CYCLES}) @(negedge {clock});",
            f"    {reset} = 0;",
            f"    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin",
            *change,
            "    #1;",
            *check,
            f"    @(negedge {clock});",
            "    end",
            "    $finish;",
            "  end",
            "endmodule\n",
        ]
    )


def _change(name: str, width: int) -> str:
    words = ", ".join(["$urandom"] * (-(-width // 32)))
    return f"    if (cycle == 0 || $urandom % {RARELY.get(name, 2)} == 0) {name} = {{{words}}};"
