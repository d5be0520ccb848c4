"""What drives the arrays from outside: the DACs of the write lines, drivers of the read lines."""

from dataclasses import dataclass

from estimate.circuits.arrays import GainCellArray
from estimate.circuits.component import Action, Component

__all__ = ["Dac", "LineDriver"]


@dataclass(frozen=True)
class Dac(Component):
    """One DAC with its buffer; its write line passes every slot of the window, in K and in V."""

    @property
    def line_f(self) -> float:
        """Capacitance of the line into one of both arrays."""
        return GainCellArray(self.spec, self.circuits).line_f(self.spec.geometry.window)

    @property
    def bias_a(self) -> float:
        """Current of a class-A buffer that moves the line through its range within a strobe."""
        strobe_s = self.spec.timing.strobe * self.clock_s
        return self.line_f * self.supply_v / strobe_s

    @property
    def area_m2(self) -> float:
        return self.circuits["dac.area_m2"]

    def hold(self, cycles: int) -> Action:
        """The buffer for so many cycles; it is never switched off."""
        seconds = cycles * self.clock_s
        how = f"V I t of a buffer of {self.bias_a:.3g} A for {seconds:.3g} s"
        return Action(self.supply_v * self.bias_a * seconds, seconds, how)

    def write(self, step: float) -> Action:
        """One code on the line, the level changing by `step` of the range."""
        energy_j = self.line_f * self.supply_v**2 * step
        strobe_s = self.spec.timing.strobe * self.clock_s
        return Action(energy_j, strobe_s, "C V dV of a write line past the whole window")


@dataclass(frozen=True)
class LineDriver(Component):
    """Drives one read line of one array: a word line of K, a row of V."""

    @property
    def area_m2(self) -> float:
        return self.circuits["driver.area_m2"]
