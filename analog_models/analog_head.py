"""The analog side of one head as it works token by token: arrays, capacitors and converters."""

from typing import Any

import numpy

from analog_models.array import KeyArray, ValueArray
from analog_models.attend import activation_ps, output_ps
from analog_models.noise import HeadNoise, RandomGenerator, row_sigma, score_sigma
from analog_models.physics import EXACT, Array
from analog_models.spec import HardwareSpec
from analog_models.variation import Variation, checked_variation

__all__ = ["AnalogHead"]


class AnalogHead:
    """Arrays and converters of one head, ideal or with the imperfections of its specification.

    xp: numpy or torch. variation: the fixed errors of this piece of hardware. noise: a random
    generator, or the generator of each event (`HeadNoise`). Raises `SpecError` if the
    specification has imperfections that are not given.
    """

    def __init__(
        self,
        spec: HardwareSpec,
        xp: Any = numpy,
        variation: Variation | None = None,
        noise: RandomGenerator | HeadNoise | None = None,
    ) -> None:
        self.spec = spec
        given = checked_variation(spec, variation, noise)
        if noise is not None and not isinstance(noise, HeadNoise):
            noise = HeadNoise.streams(noise)
        k_cells, v_cells, self._phi, self._out = given.like(xp.zeros((), dtype=xp.float64))
        self.k_array = KeyArray(spec, xp, k_cells, noise and noise.write_k)
        self.v_array = ValueArray(spec, xp, v_cells, noise and noise.write_v)
        self._noise = noise
        self._score_sigma, self._row_sigma = score_sigma(spec), row_sigma(spec)

    def activate(self, score: Array) -> Array:
        """Widths of the activation pulses in ps, [slot], for charges of the K columns [slot]."""
        rng = next(self._noise.read_k) if self._noise and self._score_sigma else None
        return activation_ps(self.spec, score, EXACT, self._phi, rng)

    def convert(self, charge: Array) -> Array:
        """Signed widths of the output pulses in ps, for charges of the V columns [sub-tile, d]."""
        rng = next(self._noise.read_v) if self._noise and self._row_sigma else None
        return output_ps(self.spec, charge, EXACT, self._out, rng)
