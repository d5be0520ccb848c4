"""Token buffer: holds the codes of the next token while the present one runs."""

from dataclasses import dataclass

from estimate.circuits.component import Action, Component

__all__ = ["TokenBuffer"]


@dataclass(frozen=True)
class TokenBuffer(Component):
    """One bit of the buffer; in a core every head has one for each bit of a token."""

    @property
    def area_m2(self) -> float:
        area_m2 = self.circuits["technology.flip_flop_area_m2"]
        return area_m2 / self.circuits["technology.utilisation"]

    def take(self) -> Action:
        """A new value."""
        energy_j = self.circuits["technology.flip_flop_j"]
        return Action(energy_j, self.clock_s, "a flip-flop takes a bit")
