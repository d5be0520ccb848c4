"""Attention error: how far a design's output is from attention without the hardware's limits.

The reference is attention with the same cells and the same HardSigmoid on the signals as they are:
not quantised, no leakage, every token of the text in the window, outputs neither saturated nor
counted. The error of a head is the root of the mean square of the difference over that of the
reference, over all tokens and dimensions; a design's is the mean over heads, so that none counts
for more because its outputs are larger. It has no unit.
"""

from typing import Any

import numpy as np

from analog_models.attend import cells_of, counts_of, pulses_and_charge, written_v
from analog_models.physics import EXACT, ExactOps
from analog_models.spec import HardwareSpec
from analog_models.spec.designs import changed
from estimate.errors import EstimateError
from estimate.sweep.signals import Text

__all__ = ["attention_error", "hardware_output", "reference_output"]


class _Unquantised(ExactOps):
    """The physics on no grid."""

    def quantise(self, x: Any) -> Any:
        return x

    def snap(self, x: Any, step: float) -> Any:
        return x


UNQUANTISED = _Unquantised()


def attention_error(spec: HardwareSpec, text: Text, reference: np.ndarray) -> float:
    """Relative RMS error of `spec`, without imperfections, on `text`.

    reference: what `reference_output` gives for it. Raises `EstimateError` if a head of the
    reference has no output.
    """
    power = (reference**2).mean((1, 2))
    if not power.all():
        raise EstimateError(f"head {int(power.argmin())} of the reference: its output is zero")
    difference = hardware_output(spec.ideal, *text.codes(spec)) - reference
    return float(np.sqrt((difference**2).mean((1, 2)) / power).mean())


def reference_output(spec: HardwareSpec, text: Text) -> np.ndarray:
    """The reference, [head, token, d], in units of a converter's full scale."""
    q, kv = spec.levels.q_max, spec.levels.kv_max
    subtiles = -(-text.tokens // spec.geometry.subtile)
    ideal = changed(spec.ideal, geometry__subtiles=subtiles, leakage__decay_per_token=0.0)
    codes = (text.q * q, text.k * kv, text.v * kv)
    charge = _charges(ideal, *codes, UNQUANTISED).sum(axis=1)
    return charge / (spec.converter.a_sat * spec.converter.t_max_ps)


def hardware_output(spec: HardwareSpec, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """What the counters give, [head, token, d], in the same units; codes [head, token, d].

    Equal, code for code, to stepping `head.GoldenHead` from an empty window, wraps included.
    """
    charge = _charges(spec, q, k, v)
    return counts_of(spec, charge).sum(axis=1) / spec.levels.count_max


def _charges(
    spec: HardwareSpec, q: np.ndarray, k: np.ndarray, v: np.ndarray, ops: ExactOps = EXACT
) -> np.ndarray:
    """Charges of the V columns, [head, sub-tile, token, d], as far as anything was written.

    Tokens lie one behind the other, lap after lap round the window; a sub-tile's charge is the sum
    over its laps, of which the mask leaves each token the latest of a slot.
    """
    geometry, tokens = spec.geometry, q.shape[1]
    laps = -(-tokens // geometry.window)
    slots = laps * geometry.window if laps > 1 else tokens + -tokens % geometry.subtile
    spare = ((0, 0), (0, slots - tokens), (0, 0))
    k, v = np.pad(k, spare), np.pad(v, spare)
    age = np.arange(tokens)[:, None] - np.arange(slots)
    age = np.where(age < geometry.window, age, -1)
    cells = cells_of(spec, written_v(spec, k), written_v(spec, v), ops)
    _, charge = pulses_and_charge(spec, q, cells, age, ops)
    heads, subtiles, *shape = charge.shape
    return charge.reshape(heads, laps, subtiles // laps, *shape).sum(axis=1)
