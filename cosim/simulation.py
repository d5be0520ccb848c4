"""A compiled co-simulation: what one run of it needs, and what it leaves."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from analog_models.errors import GaincellError
from analog_models.files import read_json, write_json
from analog_models.spec import HardwareSpec
from cosim.job import ERROR, JOB, OUTCOME, Job, Outcome
from cosim.simulator import Simulator
from cosim.tokens import write_streams
from hdl.contract import read_contract

__all__ = ["Build"]

T = TypeVar("T")


@dataclass(frozen=True)
class Build:
    """A compiled co-simulation, to be run as often as needed, also at the same time.

    folder: what the simulator compiled. contract: the port contract's file.
    """

    spec: HardwareSpec
    simulator: Simulator
    folder: Path
    contract: Path

    def run(self, job: Job, waves: Path | None = None, progress: Path | None = None) -> Outcome:
        """Feed `job` to the head, coupled to the analog model.

        waves: the waveform file to write. progress: a file in which a `progress.Counter`
        tells how many tokens are finished. Raises `GaincellError` if the simulation finds a fault
        of the RTL.
        """

        def fill(folder: Path) -> None:
            self.hand_over(job, folder)

        return self.run_test("cosim.replay", fill, Outcome.load, waves, progress)

    def hand_over(self, job: Job, folder: Path) -> None:
        """Write a job where `cosim.replay` and the testbench look for it."""
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
            self.simulate(folder, module, waves, progress)
            return self.outcome(folder, load)

    @contextmanager
    def working_folder(self) -> Iterator[Path]:
        """A folder for one run, with the specification in it."""
        with tempfile.TemporaryDirectory(prefix="job-", dir=self.folder) as name:
            folder = Path(name)
            write_json(folder / "spec.json", self.spec.to_tree())
            yield folder

    def simulate(
        self,
        folder: Path,
        module: str,
        waves: Path | None = None,
        progress: Path | None = None,
        session: str = "",
    ) -> None:
        """Run the cocotb test of `module`, which finds its folder in the environment.

        session: address on which `cosim.replay` asks for jobs. Raises `GaincellError` if the
        simulator ends early.
        """
        environment = {
            "GAINCELL_JOB": str(folder),
            "GAINCELL_CONTRACT": str(self.contract),
            "GAINCELL_PROGRESS": str(progress.resolve()) if progress else "",
            "GAINCELL_SESSION": session,
            "OPENBLAS_NUM_THREADS": "1",  # two workers have better use for a second core
            "PYTHONPATH": os.pathsep.join(_import_path()),
        }
        try:
            self.simulator.run(self.folder, folder, module, environment, waves)
        except (RuntimeError, SystemExit) as error:
            raise self._early_end(folder) from error

    def outcome(self, folder: Path, load: Callable[[Path], T]) -> T:
        """What a test has left. Raises `GaincellError` if that is an error, or nothing."""
        if (folder / ERROR).exists():
            raise GaincellError(read_json(folder / ERROR)["error"])
        if not (folder / OUTCOME).exists():
            raise self._early_end(folder)
        return load(folder / OUTCOME)

    def _early_end(self, folder: Path) -> GaincellError:
        """Keep the simulator's output and name it."""
        log = self.folder / "simulator.log"
        (folder / log.name).replace(log)
        return GaincellError(f"the simulation ended early: see {log}")


def _import_path() -> list[str]:
    root = str(Path(__file__).resolve().parents[1])
    return [root, *filter(None, [os.environ.get("PYTHONPATH")])]
