"""How far simulations are: each writes its count of tokens to a file, one line shows their sum."""

import time
from pathlib import Path

import numpy as np

from common.progress import ProgressLine

__all__ = ["Counter", "Progress"]


class Counter:
    """The number of finished tokens, in a file that another process may read at any time."""

    def __init__(self, path: Path) -> None:
        self._count = np.memmap(path, dtype=np.int64, mode="r+" if path.exists() else "w+", shape=1)

    @property
    def tokens(self) -> int:
        return int(self._count[0])

    @tokens.setter
    def tokens(self, count: int) -> None:
        self._count[0] = count


class Progress:
    """A line that says how many of `total` head-tokens the counters have together."""

    def __init__(self, label: str, total: int, counters: list[Counter]) -> None:
        self._label, self._total, self._counters = label, total, counters
        self._line = ProgressLine()
        self._started: float | None = None

    def show(self, finished: bool = False) -> None:
        """Show the line if it is time for it, or because the simulations have `finished`."""
        now = time.perf_counter()
        done = sum(counter.tokens for counter in self._counters)
        if done and self._started is None:
            self._started = now
        rate = done / (now - self._started) if self._started and now > self._started else 0.0
        speed = f", {rate:.0f}/s" if rate else ""
        self._line.show(f"{self._label}: {done}/{self._total} head-tokens{speed}", finished)
