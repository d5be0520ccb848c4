"""The golden head: one attention head fed token by token, integer codes in and out."""

from typing import Any, NamedTuple

import numpy
from array_api_compat import array_namespace

from analog_models.analog_head import AnalogHead
from analog_models.physics import Array, check_codes, count_pulses
from analog_models.spec import HardwareSpec
from common.errors import CodeError

__all__ = ["GoldenHead", "TokenTrace"]


class TokenTrace(NamedTuple):
    """What one token did in the head.

    Attributes:
        slot: slot of the window that the token was written to.
        score: [slot] charge of each K column, in query codes times charge.
        phi_ps: [slot] width of the activation pulses that reached the V array.
        width_ps: [sub-tile, d] signed width of the output pulses.
        counts: [sub-tile, d] signed counts.
        out: [d] output codes, the sum of the counts over the sub-tiles.
    """

    slot: int
    score: Array
    phi_ps: Array
    width_ps: Array
    counts: Array
    out: Array


class GoldenHead:
    """A whole head, its control plane modelled by a window pointer and a validity mask.

    window_length: tokens that the window holds, 1 to `spec.geometry.window` (the default).
    xp: numpy or torch. analog: its arrays and converters, needed if the specification has
    imperfections (default: ideal ones). Raises `CodeError` for a window length out of range and
    `SpecError` for imperfections that nobody has drawn.
    """

    def __init__(
        self,
        spec: HardwareSpec,
        window_length: int | None = None,
        xp: Any = numpy,
        analog: AnalogHead | None = None,
    ) -> None:
        self.spec = spec
        self._xp = xp
        self.analog = analog or AnalogHead(spec, xp)
        self.k_array, self.v_array = self.analog.k_array, self.analog.v_array
        self._tokens = 0
        self.flush(window_length)

    def flush(self, window_length: int | None = None) -> None:
        """Start a new sequence: no slot is valid and the pointer is at slot 0.

        The cells keep their charge, which the validity mask hides.
        """
        longest = self.spec.geometry.window
        self.window_length = longest if window_length is None else window_length
        if not 1 <= self.window_length <= longest:
            raise CodeError(f"window_length = {window_length}: allowed 1 to {longest}")
        self._in_sequence = 0

    def step(self, q: Array, k: Array, v: Array) -> TokenTrace:
        """Take one token, codes [head_dim] each. Raises `CodeError` for a bad code or shape."""
        q, k, v = (self._codes(x, name) for x, name in ((q, "q"), (k, "k"), (v, "v")))
        slot = self._in_sequence % self.window_length
        self.k_array.write(slot, k, self._tokens)
        self.v_array.write(slot, v, self._tokens)
        self._tokens += 1
        self._in_sequence += 1
        return self._attend(slot, q)

    def query(self, q: Array) -> TokenTrace:
        """A further query on the window as it is, codes [head_dim]: nothing is written.

        Grouped queries are one `step` and then a `query` for each other query head of the group.
        """
        slot = (self._in_sequence - 1) % self.window_length
        return self._attend(slot, self._codes(q, "q"))

    def run(self, q: Array, k: Array, v: Array) -> Array:
        """Feed a stretch of tokens, codes [T, head_dim] each; output codes [T, head_dim]."""
        outs = [self.step(*token).out for token in zip(q, k, v, strict=True)]
        return self._xp.stack(outs)

    def _attend(self, slot: int, q: Array) -> TokenTrace:
        spec, latest = self.spec, self._tokens - 1
        filled = min(self._in_sequence, self.window_length)
        valid = self._xp.arange(spec.geometry.window) < filled
        score = self.k_array.charge(q, latest)
        phi_ps = self.analog.activate(score) * valid
        width_ps = self.analog.convert(self.v_array.charge(phi_ps, latest))
        counts = count_pulses(spec, width_ps)
        return TokenTrace(slot, score, phi_ps, width_ps, counts, counts.sum(0))

    def _codes(self, codes: Array, name: str) -> Array:
        levels = self.spec.levels.q if name == "q" else self.spec.levels.kv
        if tuple(codes.shape) != (self.spec.geometry.head_dim,):
            shape = tuple(codes.shape)
            raise CodeError(f"{name} has shape {shape}: needs ({self.spec.geometry.head_dim},)")
        check_codes(codes, levels, name)
        xp = array_namespace(codes)
        return xp.astype(codes, xp.float64 if name == "q" else xp.int64)
