"""Builds and runs co-simulations: Verilog and compiled simulators are kept between runs.

`simulate` serves the commands and the tests alike.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import hdl
from analog_models.errors import GaincellError
from analog_models.files import read_json, write_json
from analog_models.spec import HardwareSpec
from cosim.icarus import Icarus
from cosim.job import Job, Outcome
from cosim.pin_rules import rule_parameters
from cosim.pulses import width_bits
from cosim.simulator import TESTBENCH, Simulator
from cosim.tokens import write_streams
from cosim.verilator import Verilator
from hdl.synth.gates import emit_gates
from hdl.verilog import TOP, emit

__all__ = [
    "BUILD_ROOT",
    "DEFAULT_SIMULATOR",
    "SIMULATORS",
    "Build",
    "build",
    "digest",
    "made_once",
    "simulate",
    "sources_of_rtl",
]

T = TypeVar("T")

SIMULATORS: dict[str, Simulator] = {s.name: s for s in (Icarus(), Verilator())}
DEFAULT_SIMULATOR = "icarus"
BUILD_ROOT = Path("build")
SOURCES = [
    Path(__file__).with_name(name) for name in (f"{TESTBENCH}.v", "array_side.v", "pin_rules.v")
]


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
            job.save(folder / "job.safetensors")
            write_streams(folder, job, read_json(self.contract))

        return self.run_test("cosim.replay", fill, Outcome.load, waves, progress)

    def run_test(
        self,
        module: str,
        fill: Callable[[Path], None],
        load: Callable[[Path], T],
        waves: Path | None = None,
        progress: Path | None = None,
    ) -> T:
        """Run the cocotb test of `module` on a folder that `fill` has filled; `load` its outcome.

        The test finds the folder in the environment, with the specification in it, and leaves
        either `outcome.safetensors` there or `error.json`.
        """
        with tempfile.TemporaryDirectory(prefix="job-", dir=self.folder) as name:
            folder = Path(name)
            write_json(folder / "spec.json", self.spec.to_tree())
            fill(folder)
            environment = {
                "GAINCELL_JOB": str(folder),
                "GAINCELL_CONTRACT": str(self.contract),
                "GAINCELL_PROGRESS": str(progress.resolve()) if progress else "",
                "OPENBLAS_NUM_THREADS": "1",  # two workers have better use for a second core
                "PYTHONPATH": os.pathsep.join(_import_path()),
            }
            try:
                self.simulator.run(self.folder, folder, module, environment, waves)
            except (RuntimeError, SystemExit) as error:
                raise self._early_end(folder) from error
            if (folder / "error.json").exists():
                raise GaincellError(read_json(folder / "error.json")["error"])
            if not (folder / "outcome.safetensors").exists():
                raise self._early_end(folder)
            return load(folder / "outcome.safetensors")

    def _early_end(self, folder: Path) -> GaincellError:
        """Keep the simulator's output and name it."""
        log = self.folder / "simulator.log"
        (folder / log.name).replace(log)
        return GaincellError(f"the simulation ended early: see {log}")


def simulate(
    spec: HardwareSpec,
    job: Job,
    *,
    simulator: str = DEFAULT_SIMULATOR,
    build_root: Path = BUILD_ROOT,
    waves: Path | None = None,
    gates: bool = False,
    verilog: Path | None = None,
) -> Outcome:
    """Feed `job` to one head of `spec` in the simulator, coupled to the analog model.

    build_root: where Verilog and compiled simulations are kept between runs. waves: the waveform
    file to write. gates: take the gates that the head is synthesised to instead of its RTL.
    verilog: as for `build`. Raises `CodeError` for a job that does not fit, `ToolError` without a
    simulator, `GaincellError` if the simulation finds a fault of the RTL.
    """
    job.check(spec)
    options = {"exact": job.exact, "waves": waves is not None, "gates": gates, "verilog": verilog}
    return build(spec, simulator, build_root, **options).run(job, waves)


def build(
    spec: HardwareSpec,
    simulator: str = DEFAULT_SIMULATOR,
    build_root: Path = BUILD_ROOT,
    *,
    exact: bool = False,
    waves: bool = False,
    gates: bool = False,
    say: bool = False,
    verilog: Path | None = None,
) -> Build:
    """Write the Verilog and compile it, unless the same has been done before.

    Processes that need the same build at the same time wait for the first of them. gates: the
    netlist in the place of the RTL. say: tell on stderr what is made and how long it took.
    verilog: a folder with another head of the same ports and with its contract, in the place of
    both. Raises `ToolError` without a simulator.
    """
    chosen = SIMULATORS[simulator]
    chosen.check()
    path = (verilog or _emitted(spec, build_root, gates, say)) / f"{TOP}.json"
    contract = read_json(path)
    parameters = _parameters(spec, contract, exact)
    identity = digest(
        contract["sha256"],
        *(source.read_text() for source in SOURCES),
        Path(sys.modules[type(chosen).__module__].__file__ or "").read_text(),
        chosen.version(),
        parameters,
        waves,
    )
    folder = (build_root / simulator / identity).resolve()
    what = f"the simulation with {chosen.title} (about {chosen.compile_s} s, once)"
    with made_once(folder, what if say else "") as missing:
        if missing:
            sources = [path.resolve().with_suffix(".v"), *SOURCES]
            chosen.compile(sources, parameters, folder, waves)
    return Build(spec, chosen, folder, path.resolve())


def _emitted(spec: HardwareSpec, build_root: Path, gates: bool, say: bool) -> Path:
    """The folder with the Verilog or the gates of `spec`, which are made if need be."""
    folder = build_root / "verilog" / digest(spec.hash, gates, *sources_of_rtl())
    what, write = ("Verilog of the head (about 5 s)", emit)
    if gates:
        what, write = ("gates of the head (about a minute)", emit_gates)
    with made_once(folder, f"the {what}" if say else "") as missing:
        if missing:
            write(spec, folder)
    return folder


@contextmanager
def made_once(folder: Path, what: str) -> Iterator[bool]:
    """Whether `folder` has yet to be made, by the caller and by no other process meanwhile.

    An interrupted or failed attempt is wiped by the next. what: said on stderr while it is made.
    """
    done = folder / "made.json"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            yield False
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if what:
            print(f"compiling {what} ...", end=" ", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            yield True
        except BaseException:
            print("failed" if what else "", end="\n" if what else "", file=sys.stderr)
            raise
        took = time.perf_counter() - start
        write_json(done, {"seconds": round(took, 1)})
        if what:
            print(f"done in {took:.0f} s", file=sys.stderr, flush=True)


def digest(*parts: Any) -> str:
    """Short name for what is made of `parts`."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def sources_of_rtl() -> list[str]:
    """All that the Verilog of a specification depends on."""
    sources = sorted(Path(hdl.__file__).parent.glob("*.py"))
    return [version("amaranth"), *(source.read_text() for source in sources)]


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
        **rule_parameters(spec),
        "EXACT": int(exact),
    }


def _import_path() -> list[str]:
    root = str(Path(__file__).resolve().parents[1])
    return [root, *filter(None, [os.environ.get("PYTHONPATH")])]
