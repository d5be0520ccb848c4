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

from hdl.cell_library import CellLibrary
from hdl.opensta import run_opensta, setup

__all__ = ["IO_SHARE", "analyse_timing"]

IO_SHARE = 0.2
"""Share of a clock cycle that the logic outside takes, before inputs and after outputs."""
ASYNCHRONOUS = ("phi", "out_pulse", "out_negative")

TIMING = """
create_clock -name clk -period {period_ns} [get_ports clk]
set_input_delay {io_ns} -clock clk [get_ports {{{inputs}}}]
set_output_delay {io_ns} -clock clk [all_outputs]
foreach path {{{paths}}} {{
  puts "component $path"
  report_checks -path_delay max -format full -digits 4 -through [cells_of $path]
}}
puts "component phi to row"
report_checks -unconstrained -format full -digits 4 -from [get_ports phi*] -to [get_ports row*]
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
    inputs = [
        f"{port['name']}*" if port["width"] > 1 else port["name"]
        for port in contract["ports"]
        if port["direction"] == "input" and port["name"] not in ASYNCHRONOUS
    ]
    script = setup(contract["top"], library, components) + TIMING.format(
        period_ns=period_ns,
        io_ns=IO_SHARE * period_ns,
        inputs=" ".join([*inputs, contract["reset"]["port"]]),
        paths=" ".join(path or "{}" for path in components),
    )
    report = run_opensta(script, folder, "timing")
    sections = re.split(r"^component (.*)$", report, flags=re.MULTILINE)[1:]
    paths = {
        name.strip(): _worst_path(text)
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }
    through = paths.pop("phi to row")
    return paths, through["critical_path_s"]


def _worst_path(text: str) -> dict[str, Any]:
    def number(label: str) -> float | None:
        found = re.search(rf"(-?[\d.]+) +{label}", text)
        return float(found[1]) * 1e-9 if found else None

    def word(label: str) -> str | None:
        found = re.search(rf"^{label}: (\S+)", text, flags=re.MULTILINE)
        return found[1] if found else None

    return {
        "critical_path_s": number("data arrival time"),
        "slack_s": number("slack"),
        "from": word("Startpoint"),
        "to": word("Endpoint"),
    }
