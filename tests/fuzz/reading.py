"""What every reader has to do with whatever file it is given: read it, or refuse it in one line."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from common.errors import GaincellError

__all__ = ["LONGEST", "NOT_FILES", "Reader", "check_line", "examine", "refusal"]

LONGEST = 300  # characters of a message, the path of the folder not counted
COMPUTES_S, WAITS_S = 20, 300  # a reader that takes longer hangs


@dataclass(frozen=True, repr=False)
class Reader:
    """A reader of one or more files in a folder, and how to fuzz it.

    name: as shown. files: contents by name that it takes. damaged: strategy of such files with
    something wrong. load: the reader; it gets the folder. check: fails if what has been loaded is
    not what the reader promises; it gets that and an empty folder to save it in. optional: whether
    the files may be missing.
    """

    name: str
    files: Mapping[str, bytes]
    damaged: st.SearchStrategy[dict[str, bytes]]
    load: Callable[[Path], Any]
    check: Callable[[Any, Path], None]
    optional: bool = False

    def __str__(self) -> str:
        return self.name


def examine(reader: Reader, files: Mapping[str, bytes], folder: Path, tally: Counter) -> None:
    """Fail unless `reader` loads the files and keeps its promises, or refuses them as it should.

    tally: counts what happened, as `accepted` or `refused`.
    """
    inside, other = folder / "in", folder / "out"
    for place in (inside, other):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    for name, content in files.items():
        (inside / name).write_bytes(content)
    tally["examples"] += 1
    found, message = _loaded(reader, inside)
    if message:
        tally["refused"] += 1
        check_message(message, inside)
        return
    with _patience():
        reader.check(found, other)
    tally["accepted"] += 1


def refusal(reader: Reader, folder: Path) -> str:
    """What `reader` says against the files in `folder`; empty if it takes them."""
    return _loaded(reader, folder)[1]


def _loaded(reader: Reader, folder: Path) -> tuple[Any, str]:
    """What has been loaded, or why not."""
    with _patience():
        try:
            return reader.load(folder), ""
        except GaincellError as error:
            return None, str(error) or "an error without a message"


def check_message(message: str, folder: Path) -> None:
    """A message is one short line that names a file of the folder, or the folder."""
    assert str(folder) in message, f"names no file: {message!r}"
    check_line(message.replace(str(folder), ""))


def check_line(message: str) -> None:
    """A message is one short line."""
    assert len(message.splitlines()) <= 1, f"more than one line: {message!r}"
    assert message.isprintable(), f"not printable: {message!r}"
    assert len(message) <= LONGEST, f"{len(message)} characters: {message!r}"


@contextmanager
def _patience() -> Iterator[None]:
    """Fail where a reader computes for too long, or waits: other processes may take the machine."""

    def too_long(*_: object) -> None:
        raise AssertionError(f"a reader computes {COMPUTES_S} s or waits {WAITS_S} s")

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, COMPUTES_S),
        signal.SIGALRM: (signal.ITIMER_REAL, WAITS_S),
    }
    before = {number: signal.signal(number, too_long) for number in timers}
    for timer, seconds in timers.values():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def _make_loop(path: Path) -> None:
    path.symlink_to(path.name)


NOT_FILES: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "a directory": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a device that is empty": lambda path: path.symlink_to("/dev/null"),
    "a link to itself": _make_loop,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
}
"""What may stand where a file is expected; each makes it at a path."""
