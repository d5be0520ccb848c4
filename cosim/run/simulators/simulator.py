"""What the co-simulation asks of a Verilog simulator; `icarus` and `verilator` answer it."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import STDOUT
from typing import ClassVar

import cocotb_tools.config
from find_libpython import find_libpython

from common.errors import ToolError
from common.processes import clean_environment, run

__all__ = ["TESTBENCH", "Simulator", "compile_with", "libpython"]

TESTBENCH = "testbench"  # the top module


class Simulator(ABC):
    """One simulator: how it compiles the testbench with the head, and how it runs them.

    Attributes:
        name: as the command line calls it.
        title: as its makers call it.
        compile_s: about how long it compiles the full head, in seconds.
        waves: the suffix of the waveform files that it writes.
        variables: what its environment needs that the others' do not.
    """

    name: str
    title: str
    compile_s: int
    waves: str
    variables: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def check(self) -> None:
        """Raise `ToolError` that names what is missing and how to get it."""
        ...

    @abstractmethod
    def version(self) -> str:
        """Version of the simulator, which is found by `check`."""
        ...

    @abstractmethod
    def place(self) -> Path:
        """Where its parts lie: a compiled simulation holds this path, and runs with no other."""
        ...

    @abstractmethod
    def compile(
        self, sources: Sequence[Path], parameters: Mapping[str, int], folder: Path, waves: bool
    ) -> None:
        """Compile into `folder`, with the output in its `build.log`. Raises `ToolError`."""
        ...

    @abstractmethod
    def command(self, build: Path, waves: Path | None) -> list[str]:
        """The command that runs what is compiled in `build`; waves: the waveform file to write."""
        ...

    def environment(self, module: str, folder: Path) -> dict[str, str]:
        """The whole environment of a run of the cocotb tests of `module` in `folder`.

        cocotb and GPI are told all that they read, so that nothing a user has exported changes a
        run. Raises `ToolError` without the shared library of Python.
        """
        return clean_environment() | {
            "GPI_USERS": ";".join((libpython(), cocotb_tools.config.pygpi_entry_point())),
            "GPI_LOG_LEVEL": "ERROR",
            "PYGPI_PYTHON_BIN": sys.executable,
            "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
            "TOPLEVEL_LANG": "verilog",
            "COCOTB_TOPLEVEL": TESTBENCH,
            "COCOTB_TEST_MODULES": module,
            "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
            "COCOTB_LOG_LEVEL": "ERROR",
            # cocotb would compile every module anew to explain failing asserts, for seconds.
            "COCOTB_REWRITE_ASSERTION_FILES": "",
            "OPENBLAS_NUM_THREADS": "1",  # two workers have better use for a second core
            **self.variables,
        }


@cache
def libpython() -> str:
    """The shared library of Python, which simulators load. Raises `ToolError` without one."""
    found = find_libpython()
    if found is None:
        name = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
        raise ToolError(f"the shared library of Python is missing: please install {name}")
    return found


def compile_with(commands: Sequence[Sequence[str]], folder: Path, **variables: str) -> None:
    """Run compilers in `folder`, one after the other, with their output in its `build.log`.

    variables: of their environment, beside the usual ones. Raises `ToolError` if one fails.
    """
    environment = clean_environment() | variables
    with (folder / "build.log").open("wb") as log:
        for command in commands:
            done = run(command, cwd=folder, environment=environment, stdout=log, stderr=STDOUT)
            if done.returncode:
                raise ToolError(f"{Path(command[0]).name} failed: see {log.name}")
