"""Gain-cell array: one K or V array of a sub-tile."""

from dataclasses import dataclass

from estimate.circuits.component import Action, Component

__all__ = ["GainCellArray"]


@dataclass(frozen=True)
class GainCellArray(Component):
    """An array of `subtile` slots by at most `array_rows` cells.

    A cell turns a pulse on its read line into a current that pushes or pulls charge on the line
    across. `unit_charge_c` is the charge for f(x) = 1 and a pulse of full length; all that push
    cells deliver comes from the supply.
    """

    @property
    def lines(self) -> int:
        """Read lines that a key array has: one for each dimension."""
        geometry = self.spec.geometry
        return geometry.head_dim // geometry.arrays

    @property
    def cells(self) -> int:
        """Cells of the array."""
        return self.lines * self.spec.geometry.subtile

    @property
    def area_m2(self) -> float:
        return self.cells * self.circuits["cell.area_m2"]

    @property
    def leakage_w(self) -> float:
        """What the stored charge of all cells loses, half the supply above the asymptote."""
        charge_c = self.circuits["cell.storage_f"] * self.supply_v / 2
        return self.cells * charge_c / self.circuits["cell.tau_s"] * self.supply_v

    def line_f(self, cells: int) -> float:
        """Capacitance of a line past so many cells: wire and one narrow transistor each."""
        table = self.circuits
        pitch_m = table["cell.area_m2"] ** 0.5
        device_f = table["technology.gate_f_per_m"] * table["technology.least_width_m"]
        return cells * (table["technology.wire_f_per_m"] * pitch_m + device_f)

    def drive(self, cells: int) -> Action:
        """One pulse on one read line past so many cells."""
        energy_j = self.line_f(cells) * self.supply_v**2
        how = f"C V^2 of a read line of {cells} cells"
        return Action(energy_j, self.full_pulse_s, how)

    def integrate(self, moved: float, net: float) -> Action:
        """Currents of all cells on one output line.

        moved, net: sum of the magnitudes of what the cells move and magnitude of what remains, in
        units of the cell transfer. The larger of both signs is drawn from the supply, (moved +
        net) / 2: what the cells of the other sign take is drained, what is missing the reset gives.
        """
        unit_c = self.circuits["cell.unit_charge_c"]
        energy_j = self.supply_v * unit_c * (moved + net) / 2
        how = f"V Q of a column, Q = {unit_c:.3g} C x ({moved:.4g} + {net:.4g}) / 2"
        return Action(energy_j, self.full_pulse_s, how)

    def store(self, step: float) -> Action:
        """Charging one cell, its level changing by `step` of the range."""
        energy_j = self.circuits["cell.storage_f"] * self.supply_v**2 * step
        strobe_s = self.spec.timing.strobe * self.clock_s
        return Action(energy_j, strobe_s, "C V dV of the storage capacitor of a cell")
