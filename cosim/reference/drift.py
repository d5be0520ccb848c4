"""How far the output codes of imperfect hardware are from those of an ideal head."""

from typing import NamedTuple

import numpy as np

__all__ = ["Drift"]


class Drift(NamedTuple):
    """Difference of output codes from the ideal ones.

    changed: share of codes that differ; rms: root mean square of the difference; ideal_rms: that of
    the ideal codes.
    """

    changed: float
    rms: float
    ideal_rms: float

    @classmethod
    def between(cls, out: np.ndarray, ideal: np.ndarray) -> "Drift":
        ideal = ideal.astype(np.float64)
        rms = (float(np.sqrt(np.mean(x**2))) for x in (out - ideal, ideal))
        return cls(float(np.mean(out != ideal)), *rms)

    @property
    def relative(self) -> float:
        """Rms of the difference in that of the ideal codes."""
        return self.rms / self.ideal_rms if self.ideal_rms else float("nan")
