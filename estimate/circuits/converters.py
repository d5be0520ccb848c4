"""Charge-to-pulse converter: integrates the charge of a line and turns it into a pulse."""

from dataclasses import dataclass

from estimate.circuits.component import Action, Component

__all__ = ["ChargeToPulse"]


@dataclass(frozen=True)
class ChargeToPulse(Component):
    """One converter: of a K column (`unsigned`) or of a V column of a sub-tile (`signed`).

    A constant current empties the capacitor while comparators watch: of the unsigned converter
    one, of the signed one for either sign. They draw their bias for as long as they watch.

    Attributes:
        signed: which of both.
        capacitors: per converter, in turn.
    """

    signed: bool = False
    capacitors: int = 1

    @property
    def kind(self) -> str:
        """As the parameters call it."""
        return "signed" if self.signed else "unsigned"

    @property
    def comparators(self) -> float:
        return self.circuits[f"converter.comparators_{self.kind}"]

    @property
    def capacitor_f(self) -> float:
        """Holds the saturating charge at `v_swing_v`."""
        units = self.spec.converter.a_sat if self.signed else self.spec.converter.s_sat
        charge_c = units * self.circuits["cell.unit_charge_c"]
        return charge_c / self.circuits["converter.v_swing_v"]

    @property
    def bias_a(self) -> float:
        """Current of one comparator: each stage moves its node by the swing in half a clock."""
        table = self.circuits
        node_c = table["converter.comparator_node_f"] * table["converter.v_swing_v"]
        return table["converter.comparator_stages"] * node_c / (self.clock_s / 2)

    @property
    def area_m2(self) -> float:
        table = self.circuits
        capacitor_m2 = self.capacitor_f / table["technology.capacitor_f_per_m2"]
        circuit_m2 = self.comparators * table["converter.circuit_area_m2"]
        return self.capacitors * capacitor_m2 + circuit_m2

    def watch(self, cycles: int) -> Action:
        """One conversion, the comparators being biased for so many cycles."""
        seconds = cycles * self.clock_s
        energy_j = self.comparators * self.bias_a * self.supply_v * seconds
        count, bias_a = self.comparators, self.bias_a
        how = f"V I t of {count:g} comparators of {bias_a:.3g} A for {seconds:.3g} s"
        return Action(energy_j, seconds, how)
