"""The exceptions that a user of gaincell may meet; every command prints them as one line."""

import atexit
import gc
import io
import os
import reprlib
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from common import interrupts, processes

__all__ = [
    "ArtefactError",
    "CodeError",
    "GaincellError",
    "SpecError",
    "ToolError",
    "brief",
    "readable",
    "run_command",
    "shown",
]

EXIT_ERROR = 2
EXIT_SIGNAL = 128  # and the number of the signal, as shells have it


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
_SHORT.maxdict, _SHORT.maxlist, _SHORT.maxtuple = 3, 4, 4
LONGEST_SHOWN, LONGEST_NAME, LONGEST_BRIEF = 60, 40, 120  # characters


def shown(value: Any) -> str:
    """A value as an error message shows it: as Python writes it, in one line, cut off if long."""
    text = _SHORT.repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def brief(said: Exception) -> str:
    """What another library says of a fault, as part of one line."""
    text = "".join(c if c.isprintable() else " " for c in str(said))
    return text if len(text) <= LONGEST_BRIEF else f"{text[: LONGEST_BRIEF - 1]}…"


def readable(key: Any) -> str:
    """The name of a field as an error message shows it: as it is, or as `shown` if it is odd."""
    text = str(key)
    return text if text.isprintable() and 0 < len(text) <= LONGEST_NAME else shown(text)


def run_command(main: Callable[[], int], *, resumable: bool = False) -> None:
    """Run a command-line entry point: known errors become one line on stderr, never a traceback.

    Exits with what `main` returns, 2 on a `GaincellError` or where the system refuses a file or a
    program, 141 where nobody reads the output any more, and 128 + its number after a signal that
    asks to end. No program that the command has started outlives it. resumable: the same command
    goes on where an interrupted one was.
    """
    _show_any_text()
    atexit.register(gc.freeze)  # to look for garbage at the very end may take half a second
    try:
        with interrupts.raised(first=processes.end_all):  # all at once, not one after the other
            code = _status(main, resumable)
    finally:
        with interrupts.noted():  # we are about to end
            processes.end_all()
            _drop_unwritten()
    if code > EXIT_SIGNAL and threading.active_count() > 1:
        os._exit(code)  # a thread that computes would be waited for
    sys.exit(code)


def _status(main: Callable[[], int], resumable: bool) -> int:
    try:
        code = _returned(main)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except GaincellError as error:
        return _end(EXIT_ERROR, f"error: {error}")
    except BrokenPipeError:
        return EXIT_SIGNAL + signal.SIGPIPE
    except OSError as error:
        return _end(EXIT_ERROR, f"error: {error.filename or 'system'}: {error.strerror or error}")
    except KeyboardInterrupt as error:
        stop = error if isinstance(error, interrupts.Interrupted) else interrupts.Interrupted()
        hint = "; the same command goes on from there" if resumable else ""
        return _end(EXIT_SIGNAL + stop.signum, f"{stop}{hint}")


def _returned(main: Callable[[], int]) -> int:
    """What `main` returns, or exits with as a parser of arguments does."""
    from common.checkout import check_environment  # which needs the errors above

    check_environment()
    try:
        return main()
    except SystemExit as stop:
        if not isinstance(stop.code, int):
            raise
        return stop.code


def _end(code: int, line: str) -> int:
    with suppress(OSError):  # nobody may be there to read it
        print(line, file=sys.stderr, flush=True)
    return code


def _show_any_text() -> None:
    """A character that a terminal does not have is escaped, and ends no run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_unwritten() -> None:
    """What cannot be written is dropped now, or Python would complain of it at the very end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
