"""Files that are either written whole or not at all."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analog_models.errors import ArtefactError

__all__ = [
    "locked",
    "read_json",
    "replacing",
    "scratch_folder",
    "sha256",
    "write_bytes",
    "write_json",
    "write_text",
]

IN_USE = ".in-use"  # locked by the process to which the folder belongs


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, renamed at the end: an interruption leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Processes that lock the same file wait for each other; its folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder `PREFIX...` in `parent` that is gone after the block.

    So are those that processes have left which were killed; those in use stay.
    """
    with locked(parent / f".{prefix}lock"):
        for left in parent.glob(f"{prefix}*"):
            if not _in_use(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        ours = (folder / IN_USE).open("wb")
        fcntl.flock(ours, fcntl.LOCK_EX)
    with ours:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: Path) -> bool:
    try:
        with (folder / IN_USE).open("rb") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it has none
        pass
    return False


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def write_text(path: Path, content: str) -> Path:
    """`write_bytes` of UTF-8 text."""
    return write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> Path:
    """`write_bytes` of indented JSON. Raises `ValueError` for NaN."""
    return write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Content of a JSON file. Raises `ArtefactError` if it is missing or not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ArtefactError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ArtefactError(f"{path}: not JSON: {error}") from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises `ArtefactError` if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ArtefactError(f"{path}: {error.strerror}") from error
