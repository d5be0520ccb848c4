"""Static timing of a mapped head, by component.

Every cell has its delay at the load that it drives; wires have neither resistance nor capacitance,
and the clock reaches every flip-flop at the same time. What comes from the arrays is asynchronous:
`phi` passes a gate and never a flip-flop, the output pulses and their signs end in flip-flops that
sample them. No clock constrains these paths, so they are left out, and the delay from `phi` to
`row` is told by itself. All other inputs arrive, and all outputs are needed, a share of a cycle
away from the clock edge.
"""

import re
from pathlib import Path
from typing import Any

from hdl.synth.cell_library import CellLibrary
from hdl.synth.opensta import run_opensta, setup

__all__ = ["IO_SHARE", "analyse_timing"]

IO_SHARE = 0.2
"""Share of a clock cycle that the logic outside takes, before inputs and after outputs."""
ASYNCHRONOUS = ("phi", "out_pulse", "out_negative")
"""Pins of the arrays, by the last part of their names."""

TIMING = """
create_clock -name clk -period {period_ns} [get_ports clk]
set_input_delay {io_ns} -clock clk [get_ports {{{inputs}}}]
set_output_delay {io_ns} -clock clk [all_outputs]
foreach path {{{paths}}} {{
  puts "component $path"
  report_checks -path_delay max -format full -digits 4 -through [cells_of $path]
}}
puts "component phi to row"
set rows [get_ports {{{row}}}]
report_checks -unconstrained -format full -digits 4 -from [get_ports {{{phi}}}] -to $rows
"""


def analyse_timing(
    folder: Path,
    contract: dict[str, Any],
    library: CellLibrary,
    components: list[str],
) -> tuple[dict[str, dict[str, Any]], float]:
    """Worst path through each component of `netlist.v` in `folder` (an instance path each).

    Returns for each component `critical_path_s` (from the clock edge to the end of the path,
    without set-up time), `slack_s`, `from` and `to`, `None` where no path is constrained; and the
    delay from `phi` to `row` in seconds.
    """
    period_ns = contract["clock"]["period_ps"] / 1000
    inputs, phi, row = _ports(contract)
    script = setup(contract["top"], library, components) + TIMING.format(
        period_ns=period_ns,
        io_ns=IO_SHARE * period_ns,
        inputs=inputs,
        paths=" ".join(path or "{}" for path in components),
        phi=phi,
        row=row,
    )
    report = run_opensta(script, folder, "timing")
    sections = re.split(r"^component (.*)$", report, flags=re.MULTILINE)[1:]
    paths = {
        name.strip(): _worst_path(text)
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }
    through = paths.pop("phi to row")
    return paths, through["critical_path_s"]


def _ports(contract: dict[str, Any]) -> tuple[str, str, str]:
    """Patterns of the inputs that a clock edge launches, and of the ports `phi` and `row`."""
    clocked = [contract["reset"]["port"]]
    named = {}
    for port in contract["ports"]:
        last = port["name"].split("__")[-1]
        named[last] = pattern = port["name"] + ("*" if port["width"] > 1 else "")
        if port["direction"] == "input" and last not in ASYNCHRONOUS:
            clocked.append(pattern)
    return " ".join(clocked), named["phi"], named["row"]


def _worst_path(text: str) -> dict[str, Any]:
    """The path with the least slack of those reported, one for each group of paths."""
    reports = [_path(part) for part in text.split("Startpoint: ")[1:]]
    none: dict[str, Any] = dict.fromkeys(("critical_path_s", "slack_s", "from", "to"))
    return min(reports, key=lambda path: path["slack_s"] or 0.0, default=none)


def _path(text: str) -> dict[str, Any]:
    def number(label: str) -> float | None:
        found = re.search(rf"(-?[\d.]+) +{label}", text)
        return round(float(found[1]) * 1e-9, 15) if found else None

    end = re.search(r"^Endpoint: (\S+)", text, flags=re.MULTILINE)
    return {
        "critical_path_s": number("data arrival time"),
        "slack_s": number("slack"),
        "from": text.split()[0],
        "to": end[1] if end else None,
    }
