"""The two arrays of a head: gain cells that are written a slot at a time and leak with its age.

Their charges are those of `physics.score_charge` and `physics.row_charge`, bit for bit, for one
token at a time: the charge of the cells is kept laid out for one matrix product a token.
"""

from typing import Any

import numpy
from array_api_compat import array_namespace

from analog_models.physics import EXACT, Array, cell_terms, leakage_table
from analog_models.spec import HardwareSpec

__all__ = ["GainCellArray", "KeyArray", "ValueArray"]


class GainCellArray:
    """All sub-tiles of one array: `window` slots of `head_dim` cells, and what was written when.

    Attributes:
        codes: [slot, cell] the latest code written to each cell.
        constant: the charge c_0 that every cell adds, even one never written.
    """

    def __init__(self, spec: HardwareSpec, xp: Any = numpy) -> None:
        self.spec = spec
        geometry = spec.geometry
        levels = xp.arange(spec.levels.kv, dtype=xp.float64)
        self._xp = array_namespace(levels)
        self.constant, terms = cell_terms(spec, levels)
        self._terms_by_level = xp.stack(terms) if terms else xp.zeros((0, spec.levels.kv))
        self.codes = xp.zeros((geometry.window, geometry.head_dim), dtype=xp.int64)
        self._written_at = xp.full((geometry.window,), -geometry.window, dtype=xp.int64)
        self._slots_used = 0  # behind them no cell was ever written: only the constant counts
        self._oldest = xp.asarray(geometry.window)
        self._leakage = leakage_table(spec, like=levels)

    def write(self, slot: int, codes: Array, token: int) -> None:
        """Charge the cells of `slot` to integer `codes` [head_dim]; they age from `token` on."""
        self.codes[slot] = codes
        self._written_at[slot] = token
        self._slots_used = max(self._slots_used, slot + 1)

    def age(self, token: int) -> Array:
        """Tokens since the write of each slot, [slot], up to a full window: none in it is older."""
        return self._xp.minimum(token - self._written_at, self._oldest)

    def leakage(self, token: int) -> Array:
        """Leakage factor of each power in each slot, [power, slot]."""
        return self._xp.take(self._leakage, self.age(token), axis=1)

    def v_stored(self, slot: int, token: int) -> Array:
        """Stored voltage of the cells of one slot in volts, [head_dim], for traces and plots.

        A cell never written is at the asymptote.

        With the `whole_term` convention this is the voltage at the write.
        """
        leakage = self.spec.leakage
        if self._written_at[slot] < 0:
            return self.codes[slot] * 0.0 + leakage.asymptote_v
        written_v = self.codes[slot] * self.spec.kv_step_v
        if leakage.convention == "whole_term" or len(self._terms_by_level) == 0:
            return written_v
        factor = self.leakage(token)[1][slot]
        return leakage.asymptote_v + (written_v - leakage.asymptote_v) * factor


class KeyArray(GainCellArray):
    """The K array: query pulses on its word lines give a charge on the column of each slot."""

    def __init__(self, spec: HardwareSpec, xp: Any = numpy) -> None:
        super().__init__(spec, xp)
        shape = (spec.geometry.head_dim, len(self._terms_by_level), spec.geometry.window)
        self._terms = xp.zeros(shape, dtype=xp.float64)

    def write(self, slot: int, codes: Array, token: int) -> None:
        super().write(slot, codes, token)
        self._terms[:, :, slot] = self._terms_by_level[:, codes].T

    def charge(self, q: Array, token: int) -> Array:
        """`physics.score_charge` of query codes `q` [head_dim] at the age of `token`: [slot]."""
        used = self._slots_used
        constant, *factors = self.leakage(token)
        charge = constant * (self.constant * q.sum())
        for power, factor in enumerate(factors):
            charge[:used] += factor[:used] * (q @ self._terms[:, power, :used])
        return charge


class ValueArray(GainCellArray):
    """The V array: activation pulses on its rows give a charge per sub-tile and dimension."""

    def __init__(self, spec: HardwareSpec, xp: Any = numpy) -> None:
        super().__init__(spec, xp)
        geometry, powers = spec.geometry, len(self._terms_by_level)
        shape = (geometry.subtiles, powers, geometry.subtile, geometry.head_dim)
        self._terms = xp.zeros(shape, dtype=xp.float64)
        self._nothing = xp.zeros((geometry.subtiles, geometry.head_dim), dtype=xp.float64)

    def write(self, slot: int, codes: Array, token: int) -> None:
        super().write(slot, codes, token)
        subtile, row = divmod(slot, self.spec.geometry.subtile)
        self._terms[subtile, :, row] = self._terms_by_level[:, codes]

    def charge(self, phi_ps: Array, token: int) -> Array:
        """`physics.row_charge` of pulse widths `phi_ps` [slot]: [sub-tile, head_dim]."""
        subtiles, powers, rows, dim = self._terms.shape
        weighted = EXACT.snap(phi_ps * self.leakage(token), self.spec.grid.pulse_ps)
        by_subtile = weighted.reshape(powers + 1, subtiles, rows)
        used = -(-self._slots_used // rows)
        pulses = by_subtile[1:, :used].swapaxes(0, 1).reshape(used, 1, powers * rows)
        cells = self._terms[:used].reshape(used, powers * rows, dim)
        charge = self.constant * by_subtile[0].sum(-1)[:, None] + self._nothing
        charge[:used] += (pulses @ cells)[:, 0]
        return charge
