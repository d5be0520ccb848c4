"""What the co-simulation asks of a Verilog simulator; `icarus` and `verilator` answer it."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cocotb_tools.runner import get_runner

__all__ = ["TESTBENCH", "TIMESCALE", "Simulator"]

TESTBENCH = "testbench"  # the top module
TIMESCALE = ("1ps", "1ps")


class Simulator(ABC):
    """One simulator: how it compiles the testbench with the head, and how it runs them.

    Attributes:
        name: as cocotb and the command line call it.
        title: as its makers call it.
        compile_s: about how long it compiles the full head, in seconds.
        waves: the suffix of the waveform files that it writes.
    """

    name: str
    title: str
    compile_s: int
    waves: str

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
    def run_options(self, waves: Path | None) -> dict[str, Any]:
        """Arguments of cocotb's `Runner.test` that only this simulator takes."""
        ...

    def run(
        self,
        build: Path,
        folder: Path,
        module: str,
        environment: dict[str, str],
        waves: Path | None,
    ) -> None:
        """Run what is compiled in `build` with the cocotb tests of `module`.

        folder: where files of the run and its output, `simulator.log`, are left. waves: the
        waveform file to write. Raises `RuntimeError` or `SystemExit`, as cocotb's runner does.
        """
        log_level = os.environ.get("COCOTB_LOG_LEVEL", "ERROR")
        levels = {"COCOTB_LOG_LEVEL": log_level, "GPI_LOG_LEVEL": log_level}
        # cocotb would compile every module anew to explain failing asserts, for seconds.
        levels["COCOTB_REWRITE_ASSERTION_FILES"] = ""
        get_runner(self.name).test(
            test_module=module,
            hdl_toplevel_lang="verilog",
            hdl_toplevel=TESTBENCH,
            build_dir=build,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            waves=waves is not None,
            extra_env=levels | environment,
            log_file=folder / "simulator.log",
            **self.run_options(waves),
        )
