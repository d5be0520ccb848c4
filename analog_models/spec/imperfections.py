"""What keeps real arrays and converters from the published model: sizes, units and switches.

Each is off at zero, and the temperature at its reference. `docs/imperfections.md` has the
equations; `variation.py` draws what is fixed in a head, `noise.py` what differs between events.
"""

import math
from typing import Annotated

from pydantic import Field

from common.fields import Group, unit

__all__ = ["SIGMAS", "Imperfections"]

SIGMAS = 6  # how far out a normal deviate is expected, where a range has to be named

Fraction = Annotated[float, Field(ge=0, le=1)]
SpreadVolts = Annotated[float, Field(ge=0, le=1)]
Charge = Annotated[float, Field(ge=0, le=1e6)]
Kelvin = Annotated[float, Field(ge=200, le=450)]
CONDITIONS = {"temperature_k", "reference_k", "leakage_doubling_k", "stuck_level", "device_seed"}
"""Fields that switch nothing on by being above zero."""


class Imperfections(Group):
    """Errors and noise of one head. What is random is normal, and a size is one sigma.

    Of every write: `write_error_v`, the same for all cells, and `write_noise_v`.
    Of every integration: `read_noise_k` on each K column, `read_noise_v` on each V column.
    Of every cell, fixed: `mismatch_gain`, `mismatch_offset_v` (of the stored voltage, as a spread
    of thresholds does), and `stuck_fraction` of the cells at `stuck_level` for ever.
    Of the lines, fixed: `ir_drop_row` and `ir_drop_column`, the share of its charge that the cell
    farthest from the drivers, and from the integrators, loses.
    Of every converter, fixed: gain and offset; of every pulse, jitter; `phi` for the HardSigmoid,
    `out` for the signed one.
    `temperature_k` scales noise and leakage, which are given at `reference_k`.
    `device_seed` names the piece of hardware that is drawn.
    """

    write_error_v: Annotated[float, Field(ge=-1, le=1)] = unit("V", 0.0)
    write_noise_v: SpreadVolts = unit("V", 0.0)
    read_noise_k: Charge = unit("charge", 0.0)
    read_noise_v: Charge = unit("charge", 0.0)
    mismatch_gain: Fraction = unit("1", 0.0)
    mismatch_offset_v: SpreadVolts = unit("V", 0.0)
    phi_offset: Charge = unit("charge", 0.0)
    phi_gain: Fraction = unit("1", 0.0)
    phi_jitter_ps: Annotated[float, Field(ge=0, le=1e6)] = unit("ps", 0.0)
    out_offset: Charge = unit("charge", 0.0)
    out_gain: Fraction = unit("1", 0.0)
    out_jitter_ps: Annotated[float, Field(ge=0, le=1e6)] = unit("ps", 0.0)
    ir_drop_row: Fraction = unit("1", 0.0)
    ir_drop_column: Fraction = unit("1", 0.0)
    stuck_fraction: Fraction = unit("1", 0.0)
    stuck_level: Annotated[int, Field(ge=0)] = unit("level", 0)
    temperature_k: Kelvin = unit("K", 300.0)
    reference_k: Kelvin = unit("K", 300.0)
    leakage_doubling_k: Annotated[float, Field(ge=1, le=1000)] = unit("K", 10.0)
    device_seed: Annotated[int, Field(ge=0, lt=2**63)] = unit("seed", 0)

    @property
    def off(self) -> bool:
        """Whether none is on, so that codes are those of the published model."""
        sizes = self.model_dump(exclude=CONDITIONS)
        return not any(sizes.values()) and self.temperature_k == self.reference_k

    @property
    def noisy(self) -> bool:
        """Whether an event needs random numbers, beside those that a device is made with."""
        reads = self.read_noise_k or self.read_noise_v or self.phi_jitter_ps or self.out_jitter_ps
        return bool(self.write_noise_v or reads)

    @property
    def cells_differ(self) -> bool:
        """Whether one cell has another transfer than the next."""
        drops = self.ir_drop_row or self.ir_drop_column
        spread = self.mismatch_gain or self.mismatch_offset_v
        return bool(spread or drops or self.stuck_fraction)

    @property
    def thermal(self) -> float:
        """Thermal noise relative to that at the reference temperature: sqrt(T / T_ref)."""
        return math.sqrt(self.temperature_k / self.reference_k)

    @property
    def leakage_factor(self) -> float:
        """Leakage relative to that at the reference: twice as much every `leakage_doubling_k`."""
        return 2.0 ** ((self.temperature_k - self.reference_k) / self.leakage_doubling_k)

    @property
    def write_sigma_v(self) -> float:
        """Write noise at this temperature, in volts rms."""
        return self.write_noise_v * self.thermal

    @property
    def reach_v(self) -> float:
        """How far, in volts, a cell may act as if it were written beyond the storage range."""
        noise = SIGMAS * math.hypot(self.write_sigma_v, self.mismatch_offset_v)
        return abs(self.write_error_v) + noise

    @property
    def reach_gain(self) -> float:
        """The largest gain of a cell to be expected."""
        return 1 + SIGMAS * self.mismatch_gain
