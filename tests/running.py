"""Commands that are running, the processes that they have started, and how they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

WAIT_S = 120  # machines may be slow to begin
END_S = 15  # for a command to end after a signal; on a busy machine, under coverage


def processes() -> dict[int, tuple[int, str, str]]:
    """Living processes by number: the parent's, name, and what tells it from a later one."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = stat.read_text("utf-8", "replace").split(" (", 1)
        except OSError:  # it has ended meanwhile
            continue
        name, fields = rest.rsplit(") ", 1)
        state, parent, *others = fields.split()
        if state not in "ZX":
            found[int(number)] = int(parent), name, others[17]
    return found


def descendants(root: int) -> dict[int, tuple[str, str]]:
    """Name and start of each living process that `root` has started, or one of these has."""
    alive = processes()
    found, last = {}, {root}
    while last:
        last = {number for number, (parent, *_) in alive.items() if parent in last}
        found |= {number: alive[number][1:] for number in last}
    return found


def wait_until(true: Callable[[], object], patience_s: float) -> bool:
    """Whether that comes `true` in time."""
    latest_s = time.monotonic() + patience_s
    while not (found := bool(true())) and time.monotonic() < latest_s:
        time.sleep(0.02)
    return found


class Running:
    """`python -m ...` as a user's terminal starts it, in a `with` statement that ends it."""

    def __init__(self, *command: object, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | variables,
            start_new_session=True,
            preexec_fn=_restore_interrupts,
        )

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, *names: str, count: int = 1) -> None:
        """Wait until it has started so many programs of each of these names."""

        def there() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            started = [name for name, _ in descendants(self.process.pid).values()]
            return all(sum(x.startswith(name) for x in started) >= count for name in names)

        assert wait_until(there, WAIT_S), f"no {names}"

    def end(self, signum: int, group: bool = False) -> str:
        """Send a signal to the command (group: and to what has its terminal); what it then says.

        Checks that all that it has started ends soon, and so does the command itself.
        """
        started = descendants(self.process.pid)
        (os.killpg if group else os.kill)(self.process.pid, signum)
        _, said = self.process.communicate(timeout=END_S)

        def left() -> dict[int, str]:
            alive = processes()
            return {n: of[0] for n, of in started.items() if n in alive and alive[n][1:] == of}

        assert wait_until(lambda: not left(), END_S), left()
        return said


def _restore_interrupts() -> None:
    """A shell that runs us in the background makes its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
