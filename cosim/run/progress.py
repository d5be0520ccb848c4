"""How far simulations are: each writes its count of tokens to a file, one line shows their sum."""

import sys
import time
from pathlib import Path

import numpy as np

__all__ = ["Counter", "Progress"]

LIVE_S, QUIET_S = 0.2, 5.0  # between two lines on a terminal, and elsewhere


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
    """A line on stderr now and then: replaced in place on a terminal, else every few seconds."""

    def __init__(self, label: str, total: int, counters: list[Counter]) -> None:
        self._label, self._total, self._counters = label, total, counters
        self._live = sys.stderr.isatty()
        self._last = time.perf_counter()
        self._started: float | None = None

    def show(self, finished: bool = False) -> None:
        """Show the line if it is time for it, or because the simulations have `finished`."""
        now = time.perf_counter()
        done = sum(counter.tokens for counter in self._counters)
        if done and self._started is None:
            self._started = now
        if not finished and now - self._last < (LIVE_S if self._live else QUIET_S):
            return
        self._last = now
        rate = done / (now - self._started) if self._started and now > self._started else 0.0
        speed = f", {rate:.0f}/s" if rate else ""
        text = f"{self._label}: {done}/{self._total} head-tokens{speed}"
        clear = "\r\x1b[K" if self._live else ""
        end = "" if self._live and not finished else "\n"
        print(f"{clear}{text}", end=end, file=sys.stderr, flush=True)
