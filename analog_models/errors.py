"""The exceptions that a user of gaincell may meet; every command prints them as one line."""

import reprlib
import sys
from collections.abc import Callable
from typing import Any

__all__ = [
    "ArtefactError",
    "CodeError",
    "GaincellError",
    "SpecError",
    "ToolError",
    "readable",
    "run_command",
    "shown",
]

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class GaincellError(Exception):
    """Base of all errors that gaincell raises on purpose."""


class SpecError(GaincellError):
    """A hardware specification that cannot be built."""


class CodeError(GaincellError):
    """Integer codes of a wrong shape, type or range."""


class ArtefactError(GaincellError):
    """A file that is missing, truncated, or made for another specification."""


class ToolError(GaincellError):
    """An external program that is missing or failed."""


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 3
LONGEST_SHOWN, LONGEST_NAME = 60, 40  # characters


def shown(value: Any) -> str:
    """A value as an error message shows it: as Python writes it, in one line, cut off if long."""
    text = _SHORT.repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def readable(key: Any) -> str:
    """The name of a field as an error message shows it: as it is, or as `shown` if it is odd."""
    text = str(key)
    return text if text.isprintable() and 0 < len(text) <= LONGEST_NAME else shown(text)


def run_command(main: Callable[[], int]) -> None:
    """Run a command-line entry point: known errors become one line on stderr, never a traceback.

    Exits with what `main` returns, 2 on a `GaincellError` or where the system refuses a file or a
    program, 130 on Ctrl-C.
    """
    try:
        code = main()
    except GaincellError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_ERROR
    except OSError as error:
        print(f"error: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        code = EXIT_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    sys.exit(code)
