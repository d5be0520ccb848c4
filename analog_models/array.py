"""The two arrays of a head: gain cells that are written a slot at a time and leak with its age.

Their charges are those of `physics.score_charge` and `physics.row_charge`, bit for bit, for one
token at a time: the charge of the cells is kept laid out for one matrix product a token.
"""

from collections.abc import Iterator
from typing import Any

import numpy
from array_api_compat import array_namespace

from analog_models.noise import RandomGenerator, with_noise
from analog_models.physics import (
    EXACT,
    Array,
    cell_terms,
    deviation_terms,
    leakage_table,
    written_deviation,
)
from analog_models.spec import HardwareSpec

__all__ = ["GainCellArray", "KeyArray", "ValueArray"]


class GainCellArray:
    """All sub-tiles of one array: `window` slots of `head_dim` cells, and what was written when.

    cells: coefficients of each cell as in `Variation`, if they differ. noise: the generator of each
    write to come, if it has noise.

    Attributes:
        written_v: [slot, cell] volts from the asymptote that each cell was last written to.
        constant: the charge c_0 that every cell adds, even one never written.
    """

    def __init__(
        self,
        spec: HardwareSpec,
        xp: Any = numpy,
        cells: tuple[Array, ...] | None = None,
        noise: Iterator[RandomGenerator] | None = None,
    ) -> None:
        self.spec = spec
        geometry = spec.geometry
        levels = xp.arange(spec.levels.kv, dtype=xp.float64)
        self._xp = array_namespace(levels)
        self._cells = cells
        self.constant, terms = cell_terms(spec, levels)
        self._noise = noise if terms and spec.imperfections.write_sigma_v else None
        self._terms_by_level = xp.stack(terms) if terms else xp.zeros((0, spec.levels.kv))
        self._volts_by_level = written_deviation(spec, levels)
        self._powers = len(terms) + (cells is not None)
        self.written_v = xp.zeros((geometry.window, geometry.head_dim), dtype=xp.float64)
        self._written_at = xp.full((geometry.window,), -geometry.window, dtype=xp.int64)
        self._slots_used = 0  # behind them no cell was ever written: only the constant counts
        self._oldest = xp.asarray(geometry.window)
        self._leakage = leakage_table(spec, levels, own_constants=cells is not None)

    def write(self, slot: int, codes: Array, token: int) -> None:
        """Charge the cells of `slot` to integer `codes` [head_dim]; they age from `token` on."""
        self._written_at[slot] = token
        self._slots_used = max(self._slots_used, slot + 1)
        self.written_v[slot] = self._volts_by_level[codes]
        if self._cells is None and self._noise is None:
            self._keep(slot, self._terms_by_level[:, codes])
            return
        if self._noise is not None:
            sigma_v = self.spec.imperfections.write_sigma_v
            self.written_v[slot] = with_noise(self.written_v[slot], sigma_v, next(self._noise))
        cells = self._cells and [coefficients[slot] for coefficients in self._cells]
        _, terms = deviation_terms(self.spec, self.written_v[slot], EXACT, cells)
        self._keep(slot, self._xp.stack(terms))

    def _keep(self, slot: int, terms: Array) -> None:
        """Lay out the charge by power, [power, head_dim], of what was written to `slot`."""
        raise NotImplementedError

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
        factor = 1.0
        if leakage.convention == "per_power" and len(self._terms_by_level):
            factor = self.leakage(token)[1][slot]
        return leakage.asymptote_v + self.written_v[slot] * factor


class KeyArray(GainCellArray):
    """The K array: query pulses on its word lines give a charge on the column of each slot."""

    def __init__(self, spec: HardwareSpec, xp: Any = numpy, *errors: Any) -> None:
        super().__init__(spec, xp, *errors)
        shape = (spec.geometry.head_dim, self._powers, spec.geometry.window)
        self._terms = xp.zeros(shape, dtype=xp.float64)

    def _keep(self, slot: int, terms: Array) -> None:
        self._terms[:, :, slot] = terms.T

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

    def __init__(self, spec: HardwareSpec, xp: Any = numpy, *errors: Any) -> None:
        super().__init__(spec, xp, *errors)
        geometry = spec.geometry
        shape = (geometry.subtiles, self._powers, geometry.subtile, geometry.head_dim)
        self._terms = xp.zeros(shape, dtype=xp.float64)
        self._nothing = xp.zeros((geometry.subtiles, geometry.head_dim), dtype=xp.float64)

    def _keep(self, slot: int, terms: Array) -> None:
        subtile, row = divmod(slot, self.spec.geometry.subtile)
        self._terms[subtile, :, row] = terms

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
