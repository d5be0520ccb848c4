"""Files that are either written whole or not at all, and read whole or refused."""

import codecs
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from common.errors import ArtefactError, shown
from common.strict_json import MOST_DIGITS, parse_json

__all__ = [
    "MOST_BYTES",
    "locked",
    "read_bytes",
    "read_json",
    "read_text",
    "replacing",
    "scratch_folder",
    "sha256",
    "write_bytes",
    "write_json",
    "write_text",
]

IN_USE = ".in-use"  # locked by the process to which the folder belongs
MOST_TEXT = 64 * 2**20  # bytes; the project's own files are far smaller
MOST_BYTES = 4 * 2**30


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


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """A file to read; of what the system refuses, and of what is no file, an `ArtefactError`.

    One could wait for ever for a pipe, and some devices have no end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ArtefactError(f"{path}: is {_kind(path)}, needs a file")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ArtefactError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # of a name that no file can have
        raise ArtefactError(f"{shown(str(path))}: {error}") from error


def _kind(path: Path) -> str:
    kinds = {"a folder": path.is_dir, "a pipe": path.is_fifo, "a socket": path.is_socket}
    return next((name for name, is_one in kinds.items() if is_one()), "a device")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Content of a file.

    Raises `ArtefactError` if it is missing, no file (but a folder or a pipe), or longer than `most`
    bytes.
    """
    with _opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ArtefactError(f"{path}: longer than the {most / 2**20:,.0f} MiB that are allowed")
    return content


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Content of a UTF-8 file. Raises `ArtefactError`, as `read_bytes` and for other encodings."""
    content = read_bytes(path, most)
    if content.startswith(codecs.BOM_UTF8):
        raise ArtefactError(f"{path}: begins with a byte order mark; save it as UTF-8 without one")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ArtefactError(f"{path}: not UTF-8 text, at byte {error.start}") from error


def read_json(path: Path, most_digits: int = MOST_DIGITS) -> Any:
    """Content of a JSON file. Raises `ArtefactError`, as `read_text` and `parse_json`."""
    return parse_json(read_text(path), str(path), most_digits)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises `ArtefactError` if it cannot be read."""
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
