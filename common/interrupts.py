"""The signals that ask a command to end: Ctrl-C, `kill`, and a terminal that closes.

All of them are one exception, a KeyboardInterrupt, so that whatever saves on Ctrl-C saves on each.
A signal that is ignored when the command starts, as `nohup` has it, stays ignored.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

__all__ = ["Interrupted", "noted", "raised"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ECHO_S = 1.0  # `make` passes a signal on that the terminal has sent us already
NUDGE = signal.SIGURG  # means nothing to anyone here
NUDGES, NUDGE_S = 40, 0.05


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end; `signum` says which."""

    def __init__(self, signum: int = signal.SIGINT) -> None:
        super().__init__()
        self.signum = signal.Signals(signum)

    def __str__(self) -> str:
        by = "" if self.signum == signal.SIGINT else f" by {self.signum.name}"
        return f"interrupted{by}"


class Note:
    """The signal that has come, if one has."""

    signum: int | None = None


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    stack.callback(signal.signal, signum, signal.signal(signum, handler))
        yield


@contextmanager
def raised(first: Callable[[], None]) -> Iterator[None]:
    """While the block runs, a signal calls `first` and raises `Interrupted`; its echo does not."""
    last_s = -ECHO_S

    def interrupt(signum: int, _: FrameType | None) -> None:
        nonlocal last_s
        if time.monotonic() - last_s > ECHO_S:
            last_s = time.monotonic()
            first()
            raise Interrupted(signum)

    with _nudged(), _handled(interrupt):
        yield


@contextmanager
def _nudged() -> Iterator[None]:
    """While the block runs, the main thread is woken for a while after each signal.

    Python calls our handlers when the main thread next runs Python. A signal that comes while that
    thread is on its way to wait for a lock does not wake it: it might wait for as long as others
    compute.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over, main = threading.Event(), threading.get_ident()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def nudge() -> None:
        while number := os.read(reader, 1)[0]:
            for _ in range(NUDGES if number in SIGNALS else 0):
                signal.pthread_kill(main, NUDGE)
                if over.wait(NUDGE_S):
                    break

    thread = threading.Thread(target=nudge, daemon=True)
    before = signal.signal(NUDGE, lambda *_: None)
    other = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(other)
        over.set()
        os.write(writer, b"\0")
        thread.join()
        signal.signal(NUDGE, before)
        os.close(reader)
        os.close(writer)


@contextmanager
def noted() -> Iterator[Note]:
    """While the block runs, a signal is noted, so that a step can be finished and saved first."""
    note = Note()

    def take_note(signum: int, _: FrameType | None) -> None:
        note.signum = signum

    with _handled(take_note):
        yield note
