"""How often the signals of a run sit at the ends of their ranges."""

import numpy as np

from analog_models.spec import HardwareSpec
from cosim.reference.batch import windows
from cosim.run.job import Job, Outcome

__all__ = ["filled_slots", "signal_rates"]


def filled_slots(spec: HardwareSpec, job: Job) -> np.ndarray:
    """How many slots hold a token of the sequence at each query: [token]."""
    window = windows(spec, job)
    return np.minimum(window.written, window.length)


def signal_rates(spec: HardwareSpec, job: Job, outcome: Outcome) -> dict[str, tuple[float, float]]:
    """Share of values at the lowest and at the highest of each signal's range, by signal.

    The lowest is code 0, no pulse, or a zero count; the highest is the largest code, a pulse of
    T_max, or a full count. phi: over the slots that hold a token; output: over their sub-tiles.
    """
    geometry, levels = spec.geometry, spec.levels
    filled = filled_slots(spec, job)[:, None]
    phi = outcome.rows[np.arange(geometry.window) < filled]
    used = np.arange(geometry.subtiles) * geometry.subtile < filled
    counts = np.abs(outcome.counts[used])
    signals = {
        "query": (job.q, levels.q_max),
        "key": (job.k, levels.kv_max),
        "value": (job.v, levels.kv_max),
        "phi": (phi, spec.converter.t_max_ps),
        "output": (counts, levels.count_max),
    }
    return {
        name: (float(np.mean(values == 0)), float(np.mean(values == top)))
        for name, (values, top) in signals.items()
    }
