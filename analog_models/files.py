"""Files that are either written whole or not at all."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analog_models.errors import ArtefactError

__all__ = ["read_json", "replacing", "sha256", "write_bytes", "write_json", "write_text"]


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


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def write_text(path: Path, content: str) -> Path:
    """`write_bytes` of UTF-8 text."""
    return write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> Path:
    """`write_bytes` of indented JSON. Raises `ValueError` for NaN."""
    return write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Content of a JSON file. Raises `ArtefactError` if it is missing or not JSON."""
    try:
        return json.loads(path.read_text())
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
