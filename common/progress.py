"""How far a long run is: a line on stderr."""

import sys
import time

__all__ = ["ProgressLine"]

LIVE_S, QUIET_S = 0.2, 5.0  # between two lines on a terminal, and elsewhere


class ProgressLine:
    """A line that is replaced in place on a terminal; elsewhere a new one every few seconds."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = time.perf_counter()

    def due(self) -> bool:
        """Whether it is time for another line."""
        return time.perf_counter() - self._last >= (LIVE_S if self._live else QUIET_S)

    def show(self, text: str, last: bool = False) -> None:
        """Write `text` if it is time for it, or because it is the `last`."""
        if not last and not self.due():
            return
        self._last = time.perf_counter()
        clear = "\r\x1b[K" if self._live else ""
        end = "" if self._live and not last else "\n"
        print(f"{clear}{text}", end=end, file=sys.stderr, flush=True)
