"""Text that grows on stdout, and how far it is."""

import shutil
import sys

from common.progress import ProgressLine

__all__ = ["Screen"]

# On a terminal the state stands two lines below the text. Make room without leaving the column,
# keep the place, write, go back.
BELOW = "\x1bD\x1bD\x1b[2A\x1b7\x1b[2E{}\x1b8"
CLEAR_BELOW = "\x1b[J"


class Screen:
    """Shows a text as it is made: the state below it on a terminal, else on stderr now and then.

    To be used in a `with` statement, at the end of which the line ends.
    """

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._line = ProgressLine()

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self.text("\n")

    def state(self, text: str) -> None:
        """Say how far it is, if it is time for it."""
        if self._live:
            width = shutil.get_terminal_size().columns
            print(BELOW.format(text[: width - 1]), end="", flush=True)
        else:
            self._line.show(text)

    def text(self, more: str) -> None:
        """Let the text grow; the state is wiped."""
        print((CLEAR_BELOW if self._live else "") + more, end="", flush=True)
