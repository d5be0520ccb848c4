"""A simulator that stays: it takes one job after the other, each when the one before is answered.

Between two jobs simulated time stands still, so that it does not matter how long the next one takes
to come. Jobs and outcomes are files as in a single run; a local connection says when they are
there, and its end ends the simulator.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from multiprocessing.connection import Client, Connection, Listener

from cosim.job import OUTCOME, Job, Outcome
from cosim.simulation import Build

__all__ = ["Session"]


class Session:
    """One head in a simulator of its own, to be used in a `with` statement.

    A job goes on with the window that the one before has left, unless its first token flushes. Jobs
    have the options `exact` and `waves` of the first. Several sessions work at the same time
    if each is handed its job before the outcome of the first is asked for.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._connection: Connection | None = None
        with ExitStack() as stack:
            self._folder = stack.enter_context(build.working_folder())
            pool = stack.enter_context(ThreadPoolExecutor(1))
            self._listener = stack.enter_context(Listener(family="AF_UNIX"))
            self._ended = pool.submit(self._simulate)
            stack.callback(self._hang_up)
            self._stack = stack.pop_all()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_until_ready(self) -> None:
        """Wait until the simulator takes jobs, or has failed to start: its outcome will say so."""
        self._connection = self._connection or self._listener.accept()

    def hand_over(self, job: Job) -> None:
        """Let the simulator begin with a job. Raises `CodeError` for one that does not fit."""
        job.check(self._build.spec)
        self.wait_until_ready()
        assert self._connection is not None
        (self._folder / OUTCOME).unlink(missing_ok=True)  # of the job before
        self._build.hand_over(job, self._folder)
        with suppress(OSError):  # whoever asks for the outcome learns that the simulator has ended
            self._connection.send_bytes(b"job")

    def outcome(self) -> Outcome:
        """Wait for the outcome of the job that was handed over last.

        Its clock cycles are counted from the start of the simulator. Raises `GaincellError` if the
        simulation found a fault of the RTL, or ended.
        """
        assert self._connection is not None, "no job was handed over"
        try:
            self._connection.recv_bytes()
        except (EOFError, OSError):
            self._ended.result()
        return self._build.outcome(self._folder, Outcome.load)

    def _simulate(self) -> None:
        address = str(self._listener.address)
        try:
            self._build.simulate(self._folder, "cosim.replay", session=address)
        finally:  # whoever still waits for the simulator to connect learns that it is gone
            with suppress(OSError):
                Client(address).close()

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
