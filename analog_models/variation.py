"""What is fixed in a head when it is made: its cells, its lines and its converters.

Mismatch, IR drop and being stuck are together one thing, a transfer polynomial for each cell:
g * f(x + delta), or a constant where it is stuck.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from analog_models.spec import HardwareSpec
from common.errors import SpecError

__all__ = [
    "Spread",
    "Variation",
    "checked_variation",
    "draw_variation",
    "head_variation",
    "head_variations",
]

Array = Any  # a numpy.ndarray or a torch.Tensor


class Spread(NamedTuple):
    """Gain of each converter, and its offset in the charge that the converter sees."""

    gain: Array
    offset: Array


class Variation(NamedTuple):
    """The fixed errors of one head, or of several along leading axes; None where there are none.

    Attributes:
        k_cells: for each power of the stored deviation its coefficients [..., slot, d]. That of
            power 0 is what the cell has more than the nominal constant, on the grid of charges.
        v_cells: the same of the V array.
        phi: [..., slot] the converters of the K columns.
        out: [..., sub-tile, d] those of the V columns.
    """

    k_cells: tuple[Array, ...] | None = None
    v_cells: tuple[Array, ...] | None = None
    phi: Spread | None = None
    out: Spread | None = None

    def map(
        self, cell: Callable[[Array], Any], converter: Callable[[Array], Any] | None = None
    ) -> "Variation":
        """The same with every array changed; those of converters by `converter`, if given."""
        of_k, of_v = (part and tuple(map(cell, part)) for part in (self.k_cells, self.v_cells))
        change = converter or cell
        phi, out = (
            Spread(change(part.gain), change(part.offset)) if part else None
            for part in (self.phi, self.out)
        )
        return Variation(of_k, of_v, phi, out)

    def like(self, array: Array) -> "Variation":
        """The same in library, type and device of `array`."""
        xp = array_namespace(array)
        return self.map(lambda x: xp.asarray(x, dtype=array.dtype, device=device(array)))

    def of_slots(self, slots: int) -> "Variation":
        """That of the first slots, for charges [..., T, slot] and [..., sub-tile, T, d]."""
        first = self._replace(phi=self.phi and Spread(*(x[..., :slots] for x in self.phi)))
        return first.map(lambda x: x[..., :slots, :], lambda x: x[..., None, :])


def head_variation(spec: HardwareSpec, number: int) -> Variation:
    """Piece `number` of the hardware that `imperfections.device_seed` names, in numpy.

    It is the same in every process and in whatever company of other heads.
    """
    return draw_variation(spec, np.random.default_rng([spec.imperfections.device_seed, number]))


def head_variations(spec: HardwareSpec, numbers: Iterable[int], like: Array) -> Variation:
    """Several of these pieces along a leading axis, in library, type and device of `like`."""
    xp = array_namespace(like)
    drawn = [head_variation(spec, number).like(like) for number in numbers]
    leaves = zip(*map(_leaves, drawn), strict=True)
    return drawn[0].map(lambda _: xp.stack(next(leaves)))


def _leaves(variation: Variation) -> list[Array]:
    found: list[Array] = []
    variation.map(found.append)
    return found


def draw_variation(spec: HardwareSpec, rng: np.random.Generator) -> Variation:
    """Make one head. Each quantity has a stream of its own, so that its size alone scales it."""
    geometry, imperfections, converter = spec.geometry, spec.imperfections, spec.converter
    k_rng, v_rng, phi_rng, out_rng = rng.spawn(4)
    cells = (None, None)
    if imperfections.cells_differ:
        drops = _drops(spec)
        cells = (_cells(spec, drops[0], k_rng), _cells(spec, drops[1], v_rng))
    phi = (imperfections.phi_gain, imperfections.phi_offset * spec.levels.q_max)
    out = (imperfections.out_gain, imperfections.out_offset * converter.t_max_ps)
    return Variation(
        *cells,
        _spread(*phi, (geometry.window,), phi_rng),
        _spread(*out, (geometry.subtiles, geometry.head_dim), out_rng),
    )


def _spread(
    gain: float, offset: float, shape: tuple[int, ...], rng: np.random.Generator
) -> Spread | None:
    if not gain and not offset:
        return None
    gains, offsets = rng.spawn(2)
    return Spread(1 + _normal(gains, gain, shape), _normal(offsets, offset, shape))


def _normal(rng: np.random.Generator, sigma: float, shape: tuple[int, ...]) -> np.ndarray:
    """Normal deviates of that size; nothing is drawn for a size of zero."""
    return sigma * rng.standard_normal(shape) if sigma else np.zeros(shape)


def _drops(spec: HardwareSpec) -> tuple[np.ndarray, np.ndarray]:
    """Share of its charge that a cell of the K and of the V array keeps, [slot, d].

    Lines end after a sub-tile of slots and after the cells of one array. A K array is driven along
    rows of constant d and integrates along columns of constant slot, a V array the other way.
    """
    geometry, imperfections = spec.geometry, spec.imperfections
    along_slots = _profile(geometry.subtile, geometry.subtiles)[:, None]
    along_cells = _profile(geometry.head_dim // geometry.arrays, geometry.arrays)[None, :]
    row, column = imperfections.ir_drop_row, imperfections.ir_drop_column
    k_kept = (1 - row * along_slots) * (1 - column * along_cells)
    v_kept = (1 - row * along_cells) * (1 - column * along_slots)
    return k_kept, v_kept


def _profile(cells: int, lines: int) -> np.ndarray:
    """Voltage drop along a line that every cell draws the same current from, 1 at its far end."""
    place = np.arange(1, cells + 1) / cells
    return np.tile(place * (2 - place), lines)


def _cells(spec: HardwareSpec, kept: np.ndarray, rng: np.random.Generator) -> tuple[Array, ...]:
    """Coefficients of each cell's transfer in powers of its deviation: g * f(x + delta)."""
    imperfections, c = spec.imperfections, spec.cell_polynomial
    gains, offsets, chances = rng.spawn(3)
    gain = kept * (1 + _normal(gains, imperfections.mismatch_gain, kept.shape))
    delta = _normal(offsets, imperfections.mismatch_offset_v, kept.shape)
    powers = range(len(c))
    coefficients = [
        gain * sum(c[n] * math.comb(n, i) * delta ** (n - i) for n in powers[i:]) for i in powers
    ]
    if imperfections.stuck_fraction:
        stuck = chances.random(kept.shape) < imperfections.stuck_fraction
        deviation_v = imperfections.stuck_level * spec.kv_step_v - spec.leakage.asymptote_v
        held = sum(a * deviation_v**i for i, a in enumerate(coefficients))
        coefficients = [np.where(stuck, 0.0 if i else held, coefficients[i]) for i in powers]
    excess = (coefficients[0] - spec.cell_constant) / spec.grid.charge
    return excess.round() * spec.grid.charge, *coefficients[1:]


def checked_variation(spec: HardwareSpec, variation: Variation | None, noise: Any) -> Variation:
    """What was given, or none for an ideal head.

    Raises `SpecError` if the specification has imperfections that nobody has drawn.
    """
    if variation is None:
        if not spec.imperfections.off:
            raise SpecError(
                f"specification {spec.name!r} has imperfections: give the head's variation "
                "(analog_models.variation.head_variations), or take spec.ideal"
            )
        return Variation()
    if spec.imperfections.noisy and noise is None:
        raise SpecError(
            f"specification {spec.name!r} has noise: give a random generator "
            "(numpy.random.Generator or torch.Generator) as noise"
        )
    return variation
