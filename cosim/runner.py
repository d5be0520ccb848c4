"""Builds and runs a co-simulation: the one place that knows about the simulator.

`simulate` serves the commands and the tests alike.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cocotb_tools.runner import get_runner

import hdl
from analog_models.errors import GaincellError, ToolError
from analog_models.files import read_json, write_json
from analog_models.spec import HardwareSpec
from cosim.job import Job, Outcome
from cosim.pulses import width_bits
from hdl.verilog import TOP, emit

__all__ = ["SIMULATOR", "simulate"]

SIMULATOR = "icarus"
TESTBENCH = Path(__file__).with_name("testbench.v")
BUILD_ROOT = Path("build")


def simulate(
    spec: HardwareSpec,
    job: Job,
    *,
    build_root: Path = BUILD_ROOT,
    label: str = "",
    waves: Path | None = None,
) -> Outcome:
    """Feed `job` to one head of `spec` in the simulator, coupled to the analog model.

    build_root: where Verilog and compiled simulations are kept between runs. label: names the run
    in its progress lines; none are shown if empty. waves: the FST file to write. Raises `CodeError`
    for a job that does not fit, `ToolError` without a simulator, `GaincellError` if the simulation
    finds a fault of the RTL's protocol.
    """
    job.check(spec)
    _need_simulator()
    verilog_dir = build_root / "verilog" / _identity(spec.hash, *_sources_of_rtl())
    if label and not verilog_dir.exists():
        print(
            "writing the Verilog and compiling it (about 15 s, once)", file=sys.stderr, flush=True
        )
    contract = _verilog(spec, verilog_dir)
    parameters = _parameters(spec, contract, job.exact)
    sim_dir = _build(verilog_dir, contract, parameters, waves is not None, build_root)
    with tempfile.TemporaryDirectory(prefix="job-", dir=sim_dir) as folder:
        return _run(spec, job, verilog_dir, sim_dir, Path(folder), label, waves)


def _identity(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _sources_of_rtl() -> list[str]:
    sources = sorted(Path(hdl.__file__).parent.glob("*.py"))
    return [version("amaranth"), *(source.read_text() for source in sources)]


def _verilog(spec: HardwareSpec, folder: Path) -> dict[str, Any]:
    """The contract of the Verilog in `folder`, written there unless it is already."""
    contract = folder / f"{TOP}.json"
    return read_json(contract) if contract.exists() else emit(spec, folder)


def _need_simulator() -> None:
    if not (shutil.which("iverilog") and shutil.which("vvp")):
        raise ToolError("Icarus Verilog (iverilog, vvp) is not on PATH: `make sim` installs it")


def _parameters(spec: HardwareSpec, contract: dict[str, Any], exact: bool) -> dict[str, int]:
    width = {port["name"]: port["width"] for port in contract["ports"]}
    return {
        "T_CLK": spec.clock.t_clk_ps,
        "DIM": width["pins__q_pulse"],
        "WINDOW": width["pins__phi"],
        "OUTPUTS": width["pins__out_pulse"],
        "TOKEN_BITS": width["token__payload"],
        "RESULT_BITS": width["result__payload"],
        "LENGTH_BITS": width["window_length"],
        "SCHEDULE_BITS": width["schedule"],
        "SLOT_BITS": width["pins__write__slot"],
        "CODE_BITS": width["pins__write__code"],
        "SCORE_CYCLES": max(len(s.phases["score"]) for s in spec.schedules.values()),
        "WIDTH_BITS": width_bits(spec),
        "EXACT": int(exact),
    }


def _build(
    verilog_dir: Path,
    contract: dict[str, Any],
    parameters: dict[str, int],
    waves: bool,
    build_root: Path,
) -> Path:
    """Compile, unless the same sources with the same parameters have been; return its folder."""
    identity = _identity(contract["sha256"], TESTBENCH.read_text(), parameters, waves)
    sim_dir = (build_root / SIMULATOR / identity).resolve()
    done = sim_dir / "built.json"
    if not done.exists():
        try:
            get_runner(SIMULATOR).build(
                sources=[verilog_dir / f"{TOP}.v", TESTBENCH],
                hdl_toplevel="testbench",
                parameters=parameters,
                build_dir=sim_dir,
                build_args=["-g2012"],
                timescale=("1ps", "1ps"),
                waves=waves,
                always=True,
                log_file=sim_dir / "build.log",
            )
        except RuntimeError as error:
            raise ToolError(f"iverilog failed: see {sim_dir / 'build.log'}") from error
        write_json(done, {"parameters": parameters})
    return sim_dir


def _run(
    spec: HardwareSpec,
    job: Job,
    verilog_dir: Path,
    sim_dir: Path,
    folder: Path,
    label: str,
    waves: Path | None,
) -> Outcome:
    write_json(folder / "spec.json", spec.to_tree())
    job.save(folder / "job.safetensors")
    contract = (verilog_dir / f"{TOP}.json").resolve()
    log_level = os.environ.get("COCOTB_LOG_LEVEL", "ERROR")
    runner = get_runner(SIMULATOR)
    try:
        runner.test(
            test_module="cosim.replay",
            hdl_toplevel_lang="verilog",
            hdl_toplevel="testbench",
            build_dir=sim_dir,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            seed=job.seed,
            timescale=("1ps", "1ps"),
            waves=waves is not None,
            test_args=["-n"],  # an interrupt ends vvp instead of starting its console
            plusargs=[f"+dumpfile_path={waves.resolve()}"] if waves else [],
            extra_env={
                "GAINCELL_JOB": str(folder),
                "GAINCELL_CONTRACT": str(contract),
                "GAINCELL_LABEL": label,
                "COCOTB_LOG_LEVEL": log_level,
                "GPI_LOG_LEVEL": log_level,
                "OPENBLAS_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(_import_path()),
            },
        )
    except (RuntimeError, SystemExit) as error:
        raise GaincellError(f"the simulator stopped: {error}") from error
    if (folder / "error.json").exists():
        raise GaincellError(read_json(folder / "error.json")["error"])
    if not (folder / "outcome.safetensors").exists():
        raise GaincellError("the simulation ended early: run with COCOTB_LOG_LEVEL=INFO to see why")
    return Outcome.load(folder / "outcome.safetensors")


def _import_path() -> list[str]:
    root = str(Path(__file__).resolve().parents[1])
    return [root, *filter(None, [os.environ.get("PYTHONPATH")])]
