"""An array of gain cells: slots that are written one at a time and leak with their age."""

from typing import Any

import numpy

from analog_models.physics import Array, cell_terms, leakage_factors, leakage_table
from analog_models.spec import HardwareSpec

__all__ = ["GainCellArray"]


class GainCellArray:
    """The K or the V array of one head, all its sub-tiles: `window` slots of `head_dim` cells.

    Attributes:
        terms: [power, slot, cell] charge of the cells at their write, by power of the deviation.
        constant: the charge c_0 that every cell adds, even one never written.
    """

    def __init__(self, spec: HardwareSpec, xp: Any = numpy) -> None:
        self.spec = spec
        geometry = spec.geometry
        powers = len(spec.cell_polynomial) - 1
        self.constant, by_level = cell_terms(spec, xp.arange(spec.levels.kv, dtype=xp.float64))
        self._terms_by_level = xp.stack([*by_level]) if by_level else xp.zeros((0, spec.levels.kv))
        self.terms = xp.zeros((powers, geometry.window, geometry.head_dim), dtype=xp.float64)
        self._written_v = xp.full(
            (geometry.window, geometry.head_dim), spec.leakage.asymptote_v, dtype=xp.float64
        )
        self._written_at = xp.full((geometry.window,), -geometry.window, dtype=xp.int64)
        self._leakage = leakage_table(spec, like=self.terms)

    def write(self, slot: int, codes: Array, token: int) -> None:
        """Charge the cells of `slot` to integer `codes` [head_dim]; they age from `token` on."""
        self.terms[:, slot] = self._terms_by_level[:, codes]
        self._written_v[slot] = codes * (self.spec.cell.v_supply_v / self.spec.levels.kv_max)
        self._written_at[slot] = token

    def age(self, token: int) -> Array:
        """Tokens since the write of each slot, [slot]."""
        return token - self._written_at

    def leakage(self, token: int) -> Array:
        """Leakage factor of each power in each slot, [power, slot]."""
        return leakage_factors(self._leakage, self.age(token))

    def v_stored(self, slot: int, token: int) -> Array:
        """Stored voltage of the cells of one slot in volts, [head_dim], for traces and plots.

        A cell never written is at the asymptote.

        With the `whole_term` convention this is the voltage at the write.
        """
        leakage = self.spec.leakage
        written_v = self._written_v[slot]
        if leakage.convention == "whole_term" or len(self.terms) == 0:
            return written_v
        factor = self.leakage(token)[1][slot]
        return leakage.asymptote_v + (written_v - leakage.asymptote_v) * factor
