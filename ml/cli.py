"""What every command of this package shares: errors as one line, an exit status."""

import sys
from collections.abc import Callable
from typing import NoReturn

from ml.errors import GaincellError


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run ``main`` and exit: 2 with one line on a known error, 130 on Ctrl-C."""
    try:
        status = main()
    except GaincellError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
