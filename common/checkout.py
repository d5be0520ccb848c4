"""Whether the environment that runs us was made for the checkout whose code runs.

`make` records in .venv what it was made for (.ci/install.sh). A copied .venv, and that of another
checkout left active, would run code from elsewhere without a word.
"""

import sys
from pathlib import Path

from common.errors import ToolError

__all__ = ["check_environment"]

RECORD = ".made-for"


def check_environment(environment: Path | None = None, code: Path | None = None) -> None:
    """Raise `ToolError` for an environment of another checkout than that of the code.

    environment: by default the running one; without a record, as in a user's own environment, all
    is well. code: the folder of the packages, by default of this one.
    """
    environment = (environment or Path(sys.prefix)).resolve()
    code = (code or Path(__file__).parents[1]).resolve()
    try:
        checkout = Path((environment / RECORD).read_text("utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    if checkout != environment.parent:
        raise ToolError(
            f"{environment} was made for the checkout {checkout}: `make distclean` in "
            f"{environment.parent}, then any other target, makes it anew"
        )
    if checkout != code:
        raise ToolError(
            f"{environment} belongs to the checkout {checkout}, this code to {code}: activate the "
            f"environment of {code}, which any target of its Makefile makes"
        )
