"""Files in which a long run keeps what it has done, so that it can go on: none is ever lost.

A file of another run is put beside, where that run finds it again; so is a damaged one. A line on
stderr says so.
"""

import os
import sys
from itertools import count
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from common.errors import ArtefactError
from common.records import Record

__all__ = ["Kept", "kept_in"]


class Kept(Record):
    """What a run keeps. identity: of all that its results depend on, 16 hexadecimal digits."""

    identity: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


K = TypeVar("K", bound=Kept)


def kept_in(path: Path, kind: type[K], identity: str) -> K | None:
    """What the run of this identity has kept in `path`; None if it has nothing yet.

    Raises `ArtefactError` if there is something at `path` that is no file.
    """
    own = _beside(path, identity)
    found = _read(path, kind)
    if found is not None and found.identity != identity:
        other = _beside(path, found.identity)
        path.replace(other)
        print(f"{path}: of another run; it is kept as {other.name}", file=sys.stderr)
        found = None
    if found is None and own.exists():
        own.replace(path)
        found = _read(path, kind)
    return found


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}.{name}{path.suffix}")


def _read(path: Path, kind: type[K]) -> K | None:
    if not os.path.lexists(path):
        return None
    try:
        return kind.read(path)
    except ArtefactError as error:
        if not path.is_file():
            raise
        names = (_beside(path, f"damaged{number}") for number in count(1))
        other = next(name for name in names if not name.exists())
        path.replace(other)
        print(f"{error}; it is kept as {other.name}, and the run begins anew", file=sys.stderr)
        return None
