"""The groups of a specification that describe the arrays and their surroundings."""

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator

from common.fields import AsTuple, Count, Group, Volts, unit

__all__ = ["Cell", "Clock", "Converter", "Geometry", "Grid", "Leakage", "Levels"]

Coefficient = Annotated[float, Field(ge=-1e9, le=1e9)]
Row = Annotated[tuple[Coefficient, ...], AsTuple]


class Geometry(Group):
    """Size of one attention head (paper, Methods: 16 sub-tiles of 64 x 64 cells).

    `array_rows`: most cells on a line of an array. A longer head dimension takes several K arrays
    per sub-tile, whose charges add on the columns, and as many V arrays side by side.
    """

    head_dim: Count = unit("cells")
    array_rows: Count = unit("cells")
    subtile: Count = unit("slots")
    subtiles: Count = unit("sub-tiles")

    @property
    def window(self) -> int:
        """Slots of the whole head: the longest window of tokens, M."""
        return self.subtile * self.subtiles

    @property
    def arrays(self) -> int:
        """K arrays of one sub-tile, and V arrays."""
        return -(-self.head_dim // self.array_rows)


class Levels(Group):
    """Levels of the digital codes on both sides of the arrays."""

    q: Annotated[int, Field(ge=2, le=256)] = unit("levels")
    kv: Annotated[int, Field(ge=2, le=256)] = unit("levels")
    out_magnitude_bits: Annotated[int, Field(ge=1, le=8)] = unit("bit")

    @property
    def q_max(self) -> int:
        """Largest query code; a pulse of this code lasts `q_max` clock cycles."""
        return self.q - 1

    @property
    def kv_max(self) -> int:
        """Largest key and value code."""
        return self.kv - 1

    @property
    def count_max(self) -> int:
        """Largest magnitude that a pulse counter reports."""
        return (1 << self.out_magnitude_bits) - 1

    @property
    def full_scale(self) -> dict[str, int]:
        """Largest code of each signal of a head; of the output, that of one sub-tile."""
        return {"q": self.q_max, "k": self.kv_max, "v": self.kv_max, "out": self.count_max}


class Cell(Group):
    """Transfer of one gain cell: charge moved by a full-scale pulse, f(V - v_zero)."""

    v_supply_v: Annotated[float, Field(gt=0, le=10)] = unit("V")
    v_zero_v: Volts = unit("V")
    transfer: Annotated[tuple[Row, ...], AsTuple] = unit("charge / V^(i+j)")
    linear_gain: Coefficient = unit("charge / V")

    @field_validator("transfer")
    @classmethod
    def _has_rows(cls, rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        if not 1 <= len(rows) <= 8 or not all(1 <= len(row) <= 8 for row in rows):
            raise ValueError("needs 1 to 8 rows of 1 to 8 coefficients each")
        return rows

    @property
    def polynomial(self) -> tuple[float, ...]:
        """Coefficients c_i of f(x) = sum c_i x^i, x = V - v_zero in volts."""
        powers = range(max(len(row) for row in self.transfer))
        supply = [self.v_supply_v**j for j in powers]
        return tuple(
            math.fsum(c * s for c, s in zip(row, supply, strict=False)) for row in self.transfer
        )


class Leakage(Group):
    """Decay of the stored charge with the age of a slot, counted in tokens since its write.

    `per_power`: the deviation from the asymptote decays, so its i-th power decays by
    exp(-i * decay_per_token * age). `whole_term`: the whole charge of a cell decays by
    exp(-decay_per_token * age), the convention of older published vectors.
    """

    decay_per_token: Annotated[float, Field(ge=0, le=1)] = unit("1 / token")
    asymptote_v: Volts = unit("V")
    convention: Literal["per_power", "whole_term"] = unit("")


class Converter(Group):
    """Charge-to-pulse converters: charge of full scale and width of the longest pulse."""

    s_sat: Annotated[float, Field(ge=1e-9, le=1e9)] = unit("charge")
    a_sat: Annotated[float, Field(ge=1e-9, le=1e9)] = unit("charge")
    t_max_ps: Annotated[int, Field(gt=0, le=10**6)] = unit("ps")


class Grid(Group):
    """Grids that the behavioural model rounds to, far finer than anything it models.

    They make every sum over cells a sum of integers below 2^53, which float64 adds without error
    in any order: numpy and torch then agree bit for bit, whatever their matrix product does.
    """

    t_ps: Annotated[int, Field(gt=0, le=1000)] = unit("ps")
    charge_bits: Annotated[int, Field(ge=8, le=32)] = unit("bit")
    pulse_bits: Annotated[int, Field(ge=0, le=16)] = unit("bit")

    @property
    def charge(self) -> float:
        """Grid of one cell's charge, in units of f(x)."""
        return 2.0**-self.charge_bits

    @property
    def pulse_ps(self) -> float:
        """Grid of a pulse width weighted by a leakage factor, in ps."""
        return self.t_ps * 2.0**-self.pulse_bits


class Clock(Group):
    """The clock of the control block; output pulses are counted at its edges."""

    t_clk_ps: Annotated[int, Field(ge=2, le=10**6)] = unit("ps")
