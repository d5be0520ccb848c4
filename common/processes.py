"""The programs and processes that a command starts: none of them outlives it.

A program gets a clean environment with a mark (`common.guardian`), and a session of its own:
a signal of the terminal reaches the command alone, which then decides. Where a block of this module
ends in an exception, what was started in it is killed, with all that this has started in its turn.
Where the process is gone, its guardian does the same.
"""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing import active_children, get_context, parent_process
from typing import Any

from common import guardian

__all__ = [
    "adopted",
    "clean_environment",
    "end_all",
    "own_mark",
    "run",
    "start",
    "threads",
    "variables_set",
    "workers",
]

KEPT = ("HOME", "LD_LIBRARY_PATH", "PATH", "XDG_CACHE_HOME", "YOWASP_CACHE_DIR")
JOIN_S = 1.0  # a thread that computes is not waited for longer
BLOCK: ContextVar[str] = ContextVar("BLOCK")  # the mark of the block of `threads` that we are in


class _Guarded:
    """The process that we are, with a guardian that watches it.

    mark: of all that it starts. temporary: a folder for their temporary files.
    """

    def __init__(self) -> None:
        self.mark = ".".join(filter(None, (os.environ.get(guardian.VARIABLE), _name())))
        self.temporary = tempfile.mkdtemp(prefix="gaincell-")
        command = [sys.executable, "-I", "-S", guardian.__file__, self.mark, self.temporary]
        options: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        options |= {"stderr": subprocess.DEVNULL, "cwd": "/", "start_new_session": True}
        self._guardian = subprocess.Popen(command, env=clean_environment(), **options)
        atexit.register(self._guardian.communicate)

    def forget(self) -> None:
        """In a forked process: let go of the guardian, which would else wait for us, too."""
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        atexit.unregister(self._guardian.communicate)


_lock = threading.Lock()
_here: _Guarded | None = None


def _guarded() -> _Guarded:
    global _here
    with _lock:
        _here = _here or _Guarded()
    return _here


def _forked() -> None:
    global _here, _lock
    if _here is not None:
        _here.forget()
    _here, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forked)


def _name() -> str:
    return os.urandom(6).hex()


def own_mark() -> str:
    """What marks all that this process has started; a forked process has another."""
    return _guarded().mark


def _new_mark() -> str:
    return f"{BLOCK.get(None) or own_mark()}.{_name()}"


def clean_environment() -> dict[str, str]:
    """What a program gets: where programs, libraries and caches are, and text in UTF-8.

    Nothing else: cocotb, GPI, Icarus, Verilator, make, Python and compilers have dozens of
    variables that change what they do.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


@contextmanager
def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cpu_s: int | None = None,
    **options: Any,
) -> Iterator[subprocess.Popen[Any]]:
    """Start a program and wait for its end, unless the block raises: then it is killed.

    environment: its variables (`clean_environment`). cpu_s: the processor time after which the
    system kills it, or what it has started. options: those of `subprocess.Popen`.
    """
    if cpu_s is not None:
        command = ["sh", "-c", f'ulimit -t {cpu_s}; exec "$@"', "sh", *command]
    mark = _new_mark()
    variables = dict(clean_environment() if environment is None else environment)
    variables |= {guardian.VARIABLE: mark, "TMPDIR": _guarded().temporary}
    options = {"stdin": subprocess.DEVNULL, "start_new_session": True} | options
    with subprocess.Popen(command, env=variables, **options) as process:
        try:
            yield process
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            guardian.kill(mark)
            raise


def run(
    command: Sequence[str],
    *,
    input: bytes | None = None,
    capture_output: bool = False,
    check: bool = False,
    encoding: str | None = "utf-8",
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run` of a program that is started with `start`, whose options it takes.

    encoding: of captured output; None for bytes.
    """
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE} if input is not None else {}
    if capture_output:
        pipes |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(command, **pipes, **options) as process:
        captured = process.communicate(input)
    if encoding is not None:
        captured = [x if x is None else x.decode(encoding, "replace") for x in captured]
    done = subprocess.CompletedProcess(list(command), process.returncode, *captured)
    if check:
        done.check_returncode()
    return done


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that start programs; where the block raises, these are killed and no more start."""
    mark, members = _new_mark(), list[threading.Thread]()

    def enter() -> None:
        BLOCK.set(mark)
        members.append(threading.current_thread())

    pool = ThreadPoolExecutor(count, initializer=enter)
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        latest_s = time.monotonic() + JOIN_S

        def through() -> bool:
            return time.monotonic() > latest_s or not any(m.is_alive() for m in members)

        guardian.kill(mark, through)
        raise


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that compute; where the block raises, or the process is gone, they are killed.

    Raises `ChildProcessError` if one of them is killed, as the system does without memory.
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(count, get_context("spawn"), _start_worker)
    try:
        yield pool
        pool.shutdown()
    except BaseException as error:
        for process in set(active_children()) - others:
            process.kill()
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise ChildProcessError("a worker process was killed: not enough memory?") from error
        raise


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


@contextmanager
def adopted() -> Iterator[None]:
    """Programs that a library starts while the block runs are killed if it raises, as ours are.

    Those in Python take no modules from the current folder.
    """
    mark = _new_mark()
    variables = {"TMPDIR": _guarded().temporary, "PYTHONSAFEPATH": "1"}
    with variables_set(variables | {guardian.VARIABLE: mark}):
        try:
            yield
        except BaseException:
            guardian.kill(mark)
            raise


@contextmanager
def variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """Processes that start inside have these variables in their environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def end_all() -> None:
    """Kill all that this process has started here and that still runs."""
    if _here is not None:
        guardian.kill(_here.mark)
