"""Where compiled code lies: never in the current folder, because we run it.

It lies in `build` of the checkout, or in the user's cache if the package was installed without a
checkout. Results of a command go where its user says, by default to `build` of the current folder.
"""

import os
import stat
from pathlib import Path

from common.errors import ToolError

__all__ = ["check_path", "check_trusted", "close_to_others", "code_folder"]

PACKAGE = Path(__file__).resolve().parent
# What iverilog, make, a shell, cocotb (a list of libraries) or PATH would take for something else;
# `.ci/install.sh` refuses the same.
BREAKING = '"$;:`\\\n'


def code_folder() -> Path:
    """The folder of what is compiled, which need not exist yet."""
    checkout = PACKAGE.parent
    if (checkout / "pyproject.toml").exists() and os.access(checkout, os.W_OK):
        return checkout / "build"
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "gaincell"


def check_path(path: Path) -> None:
    """Raise `ToolError` if `path`, or the project's, has a character that a program cannot take."""
    for place in (PACKAGE.parent, path.absolute()):
        for character in BREAKING:
            if character in str(place):
                raise ToolError(
                    f"{str(place)!r}: has {character!r} in it, which simulators, make or PATH take "
                    "for something else: use another folder"
                )


def close_to_others(folder: Path) -> None:
    """Whatever the umask: what lies in `folder`, and that we run, is not for everyone to write."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~stat.S_IWOTH)


def check_trusted(path: Path) -> None:
    """Raise `ToolError` if `path`, which holds code that we run, may have been written by others.

    Others are all but us, root, and whoever may write the file that you read.
    """
    found, ours = path.stat(), Path(__file__).stat()
    if found.st_uid not in (os.geteuid(), 0, ours.st_uid):
        why = f"belongs to another user ({found.st_uid})"
    elif found.st_mode & ~ours.st_mode & stat.S_IWOTH:
        why = "may be written by anyone"
    else:
        return
    raise ToolError(f"{path}: {why}, and it holds code that we run: remove it")
