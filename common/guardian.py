"""Marks of processes: a variable of the environment that says to whom a process belongs.

Whatever a marked process starts inherits its mark, in whatever group or session it puts itself.
Marks are paths: "a.b" lies below "a". They are read from /proc (Linux).

    python guardian.py MARK FOLDER

is the guardian of a process. It waits until standard input ends, as it does when the process that
holds the other end is gone, and be it by SIGKILL; then it kills what is marked and removes the
folder. It needs nothing but Python's library, to start quickly.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

VARIABLE = "GAINCELL_MARK"
PAUSE_S = 0.01
PATIENCE_S = 2.0  # a process that the system does not let go sooner is not waited for


def marked(mark: str) -> list[int]:
    """The living processes that have `mark`, or one below it."""
    wanted = f"{VARIABLE}={mark}".encode()
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with suppress(OSError):  # it is gone, or another user's
            if name.isdigit():
                with open(f"/proc/{name}/environ", "rb") as file:
                    variables = file.read().split(b"\0")
                if any(v == wanted or v.startswith(wanted + b".") for v in variables):
                    found.append(int(name))
    return found


def kill(mark: str, enough: Callable[[], bool] = lambda: True) -> None:
    """Kill the marked processes until none is left and it is `enough`: others may be starting."""
    give_up_s = time.monotonic() + PATIENCE_S
    while ((pids := marked(mark)) or not enough()) and time.monotonic() < give_up_s:
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_S)


def main(mark: str, folder: str) -> None:
    """Wait for the end of standard input, then clear up."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for whom it guards
        signal.signal(signum, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill(mark)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
