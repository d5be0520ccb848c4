"""A compiled co-simulation: what one run of it needs, and what it leaves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any, TypeVar

from analog_models.spec import HardwareSpec
from common.errors import GaincellError
from common.files import read_json, scratch_folder, write_json
from common.processes import start
from cosim.run.job import ERROR, JOB, OUTCOME, Job, Outcome
from cosim.run.simulators.simulator import Simulator
from cosim.testbench.tokens import write_streams
from hdl.emit.contract import read_contract

__all__ = ["Build"]

LOG = "simulator.log"
T = TypeVar("T")


@dataclass(frozen=True)
class Build:
    """A compiled co-simulation, to be run as often as needed, also at the same time.

    folder: what the simulator compiled. contract: the port contract's file. cpu_s: processor time
    after which a simulator is killed (None: any).
    """

    spec: HardwareSpec
    simulator: Simulator
    folder: Path
    contract: Path
    cpu_s: int | None = None

    def run(self, job: Job, waves: Path | None = None, progress: Path | None = None) -> Outcome:
        """Feed `job` to the head, coupled to the analog model.

        waves: the waveform file to write. progress: a file in which a `progress.Counter`
        tells how many tokens are finished. Raises `GaincellError` if the simulation finds a fault
        of the RTL.
        """

        def fill(folder: Path) -> None:
            self.hand_over(job, folder)

        return self.run_test("cosim.testbench.replay", fill, Outcome.load, waves, progress)

    def hand_over(self, job: Job, folder: Path) -> None:
        """Write a job where `cosim.testbench.replay` and the testbench look for it."""
        job.save(folder / JOB)
        write_streams(folder, job, read_contract(self.contract))

    def run_test(
        self,
        module: str,
        fill: Callable[[Path], None],
        load: Callable[[Path], T],
        waves: Path | None = None,
        progress: Path | None = None,
    ) -> T:
        """Run the cocotb test of `module` on a folder that `fill` has filled; `load` its outcome.

        The test leaves either `OUTCOME` in the folder or `ERROR`.
        """
        with self.working_folder() as folder:
            fill(folder)
            with self.simulator_of(folder, module, waves, progress) as process:
                pass  # wait for its end
            return self.outcome(folder, load, process)

    @contextmanager
    def working_folder(self) -> Iterator[Path]:
        """A folder for one run, with the specification in it."""
        with scratch_folder(self.folder.parent, "job-") as folder:
            write_json(folder / "spec.json", self.spec.to_tree())
            yield folder

    @contextmanager
    def simulator_of(
        self,
        folder: Path,
        module: str,
        waves: Path | None = None,
        progress: Path | None = None,
        session: int | None = None,
    ) -> Iterator[Popen[Any]]:
        """A simulator that runs the cocotb test of `module`; the end of the block waits for its.

        session: file descriptor of a connection on which `cosim.testbench.replay` asks for jobs.
        """
        environment = self.simulator.environment(module, folder) | {
            "GAINCELL_JOB": str(folder),
            "GAINCELL_CONTRACT": str(self.contract),
            "GAINCELL_PROGRESS": str(progress.resolve()) if progress else "",
            "GAINCELL_SESSION": "" if session is None else str(session),
        }
        command = self.simulator.command(self.folder, waves)
        options = {"cwd": folder, "pass_fds": () if session is None else (session,)}
        options |= {"environment": environment, "cpu_s": self.cpu_s}
        with (
            (folder / LOG).open("wb") as log,
            start(command, stdout=log, stderr=STDOUT, **options) as process,
        ):
            yield process

    def outcome(self, folder: Path, load: Callable[[Path], T], process: Popen[Any]) -> T:
        """What a test has left. Raises `GaincellError` if that is an error, or nothing.

        process: its simulator, which has not failed if it still runs.
        """
        if (folder / ERROR).exists():
            raise GaincellError(read_json(folder / ERROR)["error"])
        if process.poll() or not (folder / OUTCOME).exists():
            log = (folder / LOG).replace(self.folder / LOG)
            raise GaincellError(f"the simulation ended early: see {log}")
        return load(folder / OUTCOME)
