"""Verilator: compiles the Verilog to C++, ten times faster than Icarus once that is done.

It comes as a Python package, which cocotb's own build step does not serve: the package is found by
its folder, its makefile wants flags that a configured Verilator would have written, and cocotb
would make every signal of the head visible, which doubles the run time.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cocotb_tools.config

from analog_models.errors import ToolError
from cosim.simulator import TESTBENCH, Simulator
from hdl.lint import verilator_root

__all__ = ["Verilator"]

# What Python reads and writes of the testbench: all else, and the head, is free to be optimised.
# Every evaluation starts from what may have been written.
READ = {
    TESTBENCH: ("ended", "stuck", "result_changed", "results", "broken"),
    "array_side": (
        *("clk", "reset_k", "score", "activate", "write_code", "write_slot", "phi_lost"),
        *("score_report", "activate_report"),
    ),
}
WRITTEN = {
    TESTBENCH: ("rst", "job", "patience"),
    "array_side": ("phi_pulses", "out_pulses", "v_stored", "integrator_charge", "phi_width_ps"),
}
# What a Verilator that was configured on this machine would have in its makefile.
MAKE_VARIABLES = (
    "CFG_CXXFLAGS_STD=-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_LDLIBS_THREADS=-pthread",
    "OPT_FAST=-O3 -march=native",
)


class Verilator(Simulator):
    """Verilator as its Python package ships it."""

    name = "verilator"
    title = "Verilator"
    compile_s = 40
    waves = ".vcd"

    def check(self) -> None:
        missing = [name for name in ("make", "c++") if not shutil.which(name)]
        verilator_root()
        if missing:
            raise ToolError(
                f"Verilator needs {' and '.join(missing)} to compile what it writes: "
                "please install what Debian calls make and g++"
            )

    def version(self) -> str:
        return version("verilator")

    def place(self) -> Path:
        return Path(cocotb_tools.config.libs_dir)

    def compile(
        self, sources: Sequence[Path], parameters: Mapping[str, int], folder: Path, waves: bool
    ) -> None:
        root = verilator_root()
        visible = folder / "visible.vlt"
        visible.write_text(_visible(parameters))
        verilate = [str(root / "bin" / "verilator_bin"), *_options(parameters, folder, waves)]
        verilate += [str(visible), *map(str, sources)]
        jobs = len(os.sched_getaffinity(0))
        make = ["make", f"-j{jobs}", "-C", str(folder), "-f", "Vtop.mk", *MAKE_VARIABLES]
        # A `make` that runs us would hand its own flags to the one we run.
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
        environment["VERILATOR_ROOT"] = str(root)
        with (folder / "build.log").open("w") as log:
            for command in (verilate, make):
                done = subprocess.run(command, env=environment, stdout=log, stderr=log)
                if done.returncode:
                    raise ToolError(f"{Path(command[0]).name} failed: see {log.name}")

    def run_options(self, waves: Path | None) -> dict[str, Any]:
        return {"test_args": ["--trace-file", str(waves.resolve())] if waves else []}


def _visible(parameters: Mapping[str, int]) -> str:
    """A control file that opens variables of the testbench to Python; for exact pulses all."""
    everything = dict.fromkeys(READ, ("*",))
    modes = {"rw": everything} if parameters["EXACT"] else {"rd": READ, "rw": WRITTEN}
    lines = [
        f'public_flat_{mode} -module "{module}" -var "{name}"'
        for mode, modules in modes.items()
        for module, names in modules.items()
        for name in names
    ]
    return "\n".join(["`verilator_config", *lines, ""])


def _options(parameters: Mapping[str, int], folder: Path, waves: bool) -> list[str]:
    libraries = cocotb_tools.config.libs_dir
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    return [
        *("--cc", "--exe", "--vpi", "--timing", "-O3", "--Mdir", str(folder)),
        *("--top-module", TESTBENCH, "--prefix", "Vtop", "-o", TESTBENCH),
        *("--timescale", "1ps/1ps", "-Wno-fatal", "-Wno-lint", "-Wno-style"),
        *(["--trace"] if waves else []),
        *(f"-G{name}={value}" for name, value in parameters.items()),
        *("-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"),
        str(main),
    ]
