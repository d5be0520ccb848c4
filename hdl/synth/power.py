"""Power of a mapped head, by component: OpenSTA's energy of each cell, times how often it toggles.

OpenSTA here takes one activity for all cells and lets every clock run, gated or not. So it is asked
twice, with no activity and with one change per cycle: the difference of a cell is the energy of its
changes, the rest that of its clock. Each is then weighted with what a simulation of the gates
counted at the pins of that very cell. The clock's own wires, from its source to the clock gates and
the flip-flops that have none, belong to the layout and are not in it.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from common.files import read_json
from hdl.synth.cell_library import CellLibrary
from hdl.synth.opensta import run_opensta, setup

__all__ = ["CellPower", "CellPowers", "cell_powers"]

CLOCK_PINS = ("CK", "CLK")
CHANGES_OF_A_CLOCK = 2.0

POWER = """
create_clock -name clk -period {period_ns} [get_ports clk]
foreach activity {{0 1}} {{
  set_power_activity -global -activity $activity -duty 0.5
  foreach path {{{paths}}} {{ report_power -digits 6 -instances [cells_of $path] }}
  puts "activity $activity done"
}}
"""


class CellPower(NamedTuple):
    """What OpenSTA reports for a cell, in W."""

    internal: float
    switching: float
    leakage: float


@dataclass(frozen=True)
class CellPowers:
    """Power of every cell of a mapped head, before it is weighed with what it does.

    idle, busy: OpenSTA's figures at activity 0 and 1, by cell. pins: inputs and outputs of each.
    """

    idle: dict[str, CellPower]
    busy: dict[str, CellPower]
    pins: dict[str, tuple[list[str], list[str]]]

    def at(self, toggles: dict[str, float]) -> dict[str, float]:
        """Power in W of each component; toggles: changes per cycle (`toggles_per_cycle`)."""
        power: dict[str, float] = defaultdict(float)
        for cell, quiet in self.idle.items():
            inputs, outputs = self.pins[cell]
            changes = _mean([toggles.get(f"{cell}/{pin}", 0.0) for pin in outputs])
            clocks = [toggles.get(f"{cell}/{pin}", 0.0) for pin in inputs if pin in CLOCK_PINS]
            weighed = weigh(quiet, self.busy[cell], changes, clocks[0] if clocks else changes)
            power[_component(cell)] += weighed
        return dict(power)

    @property
    def leakage(self) -> dict[str, float]:
        """Power in W of each component when nothing moves, not even the clock."""
        power: dict[str, float] = defaultdict(float)
        for cell, idle in self.idle.items():
            power[_component(cell)] += idle.leakage
        return dict(power)


def cell_powers(
    folder: Path, top: str, library: CellLibrary, components: list[str], period_ps: float
) -> CellPowers:
    """Ask OpenSTA about the cells of `netlist.v` in `folder`, at a clock period in ps.

    components: instance paths. Raises `ToolError` if OpenSTA is missing or fails.
    """
    script = setup(top, library, components) + POWER.format(
        period_ns=period_ps / 1000, paths=" ".join(path or "{}" for path in components)
    )
    idle, busy = (
        _cells(text) for text in run_opensta(script, folder, "power").split("activity")[:2]
    )
    return CellPowers(idle, busy, _pins(read_json(folder / "netlist.json"), top))


def weigh(idle: CellPower, busy: CellPower, changes: float, clock_changes: float) -> float:
    """Power of a cell in W, from OpenSTA's at activity 0 and 1 with the clock always running.

    changes, clock_changes: per cycle, of the cell's outputs and of its clock pin. What an idle cell
    switches is a clock at its output.
    """
    changing = busy.internal - idle.internal + busy.switching - idle.switching
    return (
        idle.leakage
        + changing * changes
        + idle.internal * clock_changes / CHANGES_OF_A_CLOCK
        + idle.switching * changes / CHANGES_OF_A_CLOCK
    )


def _component(cell: str) -> str:
    return cell.rpartition("/")[0]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _cells(report: str) -> dict[str, CellPower]:
    """The rows of `report_power -instances`: internal, switching, leakage, total, path."""
    rows = (line.split() for line in report.splitlines())
    return {
        row[4]: CellPower(*map(float, row[:3])) for row in rows if len(row) == 5 and "e" in row[0]
    }


def _pins(netlist: dict[str, Any], top: str) -> dict[str, tuple[list[str], list[str]]]:
    """Inputs and outputs of each cell that has one output or more, by instance path."""
    modules = netlist["modules"]

    def walk(module: str, prefix: str) -> dict[str, tuple[list[str], list[str]]]:
        found = {}
        for name, cell in modules[module]["cells"].items():
            path = f"{prefix}{name}"
            if "blackbox" not in modules[cell["type"]]["attributes"]:
                found |= walk(cell["type"], f"{path}/")
            else:
                directions = cell["port_directions"]
                found[path] = (
                    [pin for pin, direction in directions.items() if direction == "input"],
                    [pin for pin, direction in directions.items() if direction == "output"],
                )
        return found

    return walk(top, "")
