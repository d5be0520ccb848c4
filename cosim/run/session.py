"""A simulator that stays: it takes one job after the other.

Simulated time stands still between two jobs, so a job may come as late as it likes. Jobs and
outcomes are files, as in a single run. A connection says when they are there; when it ends, so does
the simulator.
"""

from contextlib import ExitStack, suppress
from multiprocessing import Pipe

from cosim.run.compiled import Build
from cosim.run.job import OUTCOME, Job, Outcome

__all__ = ["Session"]


class Session:
    """One head in a simulator of its own, to be used in a `with` statement.

    A job continues with the window of the job before, unless its first token flushes. All jobs have
    the options `exact` and `waves` of the first. Several sessions work at the same time: hand each
    its job before you ask the first for its outcome.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._ready = False
        with ExitStack() as stack:
            self._folder = stack.enter_context(build.working_folder())
            self._connection, theirs = Pipe()
            with theirs:
                simulator = build.simulator_of(
                    self._folder, "cosim.testbench.replay", session=theirs.fileno()
                )
                self._process = stack.enter_context(simulator)
            stack.callback(self._connection.close)
            self._stack = stack.pop_all()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def wait_until_ready(self) -> None:
        """Wait until the simulator takes a job, or has ended: its outcome will say so."""
        with suppress(EOFError, OSError):
            self._ready = self._ready or bool(self._connection.recv_bytes())

    def hand_over(self, job: Job) -> None:
        """Let the simulator begin with a job. Raises `CodeError` for one that does not fit."""
        job.check(self._build.spec)
        self.wait_until_ready()
        (self._folder / OUTCOME).unlink(missing_ok=True)  # of the job before
        self._build.hand_over(job, self._folder)
        self._ready = False
        with suppress(OSError):  # whoever asks for the outcome learns that the simulator has ended
            self._connection.send_bytes(b"job")

    def outcome(self) -> Outcome:
        """Wait for the outcome of the job that was handed over last.

        Its clock cycles are counted from the start of the simulator. Raises `GaincellError` if the
        simulation found a fault of the RTL, or ended.
        """
        self.wait_until_ready()
        if not self._ready:
            self._process.wait()
        return self._build.outcome(self._folder, Outcome.load, self._process)
