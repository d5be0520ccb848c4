"""The exceptions that a user of gaincell may meet; every command prints them as one line."""

import sys
from collections.abc import Callable

__all__ = ["ArtefactError", "CodeError", "GaincellError", "SpecError", "ToolError", "run_command"]

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


def run_command(main: Callable[[], int]) -> None:
    """Run a command-line entry point: known errors become one line on stderr, never a traceback.

    Exits with what `main` returns, 2 on a `GaincellError` or where the system refuses a file or a
    program, 130 on Ctrl-C.
    """
    from analog_models.checkout import check_environment  # which needs the errors above

    try:
        check_environment()
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
