"""What every component answers: the cost of its actions, its area, its leakage."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from analog_models.spec import HardwareSpec
from estimate.quantities import Table

__all__ = ["Action", "Component"]


class Action(NamedTuple):
    """One action of one instance: energy in J, latency in s, and in words what it is."""

    energy_j: float
    latency_s: float
    how: str


@dataclass(frozen=True)
class Component(ABC):
    """A component of a head, described by the specification and by circuit parameters.

    Its methods that return an `Action` are what one instance of it does.
    """

    spec: HardwareSpec
    circuits: Table

    @property
    @abstractmethod
    def area_m2(self) -> float:
        """Area of one instance."""
        ...

    @property
    def leakage_w(self) -> float:
        """Power of one instance that does nothing; 0 where it is switched off then."""
        return 0.0

    @property
    def supply_v(self) -> float:
        """Supply of the analog circuits and of the logic."""
        return self.spec.cell.v_supply_v

    @property
    def clock_s(self) -> float:
        """One clock cycle."""
        return self.spec.clock.t_clk_ps * 1e-12

    @property
    def full_pulse_s(self) -> float:
        """The longest pulse of the converters."""
        return self.spec.converter.t_max_ps * 1e-12
