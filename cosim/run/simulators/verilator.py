"""Verilator: compiles the Verilog to C++, ten times faster than Icarus once that is done.

It comes as a Python package, which cocotb's own build step does not serve: the package is found by
its folder, its makefile wants flags that a configured Verilator would have written, and cocotb
would make every signal of the head visible, which doubles the run time.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import cocotb_tools.config

from common.errors import ToolError
from cosim.run.simulators.simulator import TESTBENCH, Simulator, compile_with
from hdl.emit.lint import verilator_root

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
# What a Verilator that was configured on this machine would have in its makefile; and where it is.
MAKE_VARIABLES = (
    "CFG_CXXFLAGS_STD=-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_LDLIBS_THREADS=-pthread",
    "OPT_FAST=-O3 -march=native",
    "CURDIR=.",  # it looks for spaces there
)
MAIN = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
VISIBLE = "visible.vlt"


class Verilator(Simulator):
    """Verilator as its Python package ships it."""

    name = "verilator"
    title = "Verilator"
    compile_s = 40
    waves = ".vcd"
    variables: ClassVar = {"COCOTB_TRUST_INERTIAL_WRITES": "1"}  # as cocotb's own runner has it

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
        # `make` has no way to write down a path with a space: names in the folder are all it sees.
        for name, place in {
            "verilator": verilator_root(),
            "cocotb": cocotb_tools.config.libs_dir,
        }.items():
            (folder / name).symlink_to(place)
        for source in (MAIN, *sources):
            shutil.copyfile(source, folder / source.name)
        (folder / VISIBLE).write_text(_visible(parameters), "utf-8")
        verilate = ["verilator/bin/verilator_bin", *_options(parameters, waves)]
        verilate += [MAIN.name, VISIBLE, *(source.name for source in sources)]
        make = ["make", f"-j{len(os.sched_getaffinity(0))}", "-f", "Vtop.mk", *MAKE_VARIABLES]
        compile_with([verilate, make], folder, VERILATOR_ROOT="verilator")

    def command(self, build: Path, waves: Path | None) -> list[str]:
        dump = ["--trace", "--trace-file", str(waves.resolve())] if waves else []
        return [str(build / TESTBENCH), *dump]


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


def _options(parameters: Mapping[str, int], waves: bool) -> list[str]:
    return [
        *("--cc", "--exe", "--vpi", "--timing", "-O3", "--Mdir", "."),
        *("--top-module", TESTBENCH, "--prefix", "Vtop", "-o", TESTBENCH),
        *("--timescale", "1ps/1ps", "-Wno-fatal", "-Wno-lint", "-Wno-style"),
        *(["--trace"] if waves else []),
        *(f"-G{name}={value}" for name, value in parameters.items()),
        *("-LDFLAGS", "-Wl,-rpath,'$$ORIGIN/cocotb' -Lcocotb -lcocotbvpi_verilator"),
    ]
