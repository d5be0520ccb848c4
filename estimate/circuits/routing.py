"""Wires between the blocks of a head, of which synthesis knows nothing."""

import math
from dataclasses import dataclass

from estimate.circuits.component import Action, Component

__all__ = ["Wires"]


@dataclass(frozen=True)
class Wires(Component):
    """Wires over a head of `blocks_m2`, the area of what they connect."""

    blocks_m2: float = 0.0

    @property
    def area_m2(self) -> float:
        return self.circuits["routing.area_share"] * self.blocks_m2

    def _toggle(self, length_m: float, what: str) -> Action:
        """A pulse on a wire: one rise and one fall."""
        farad = length_m * self.circuits["technology.wire_f_per_m"]
        how = f"C V^2 of {length_m * 1e3:.2g} mm of wire {what}"
        return Action(farad * self.supply_v**2, self.clock_s, how)

    def tree(self, points: float) -> Action:
        """A pulse from one place to so many, spread over the head."""
        length_m = self.circuits["routing.steiner"] * math.sqrt(points * self.blocks_m2)
        return self._toggle(length_m, f"to {points:g} places")

    def link(self) -> Action:
        """A pulse from one place of the head to another."""
        length_m = self.circuits["routing.manhattan"] * math.sqrt(self.blocks_m2)
        return self._toggle(length_m, "from a sub-tile to its counter")
