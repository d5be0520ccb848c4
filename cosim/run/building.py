"""Builds and runs co-simulations: Verilog and compiled simulators are kept between runs.

`simulate` serves the commands and the tests alike.
"""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hdl
from analog_models.spec import HardwareSpec
from common.files import locked, write_json, write_text
from common.places import check_path, check_trusted, close_to_others, code_folder
from cosim import testbench
from cosim.run.compiled import Build
from cosim.run.job import Job, Outcome
from cosim.run.simulators.icarus import Icarus
from cosim.run.simulators.simulator import TESTBENCH, Simulator
from cosim.run.simulators.verilator import Verilator
from cosim.testbench.pin_rules import INCLUDED, rule_numbers
from cosim.testbench.pulses import width_bits
from hdl.emit.contract import port_widths, read_contract, simulated
from hdl.emit.verilog import TOP, emit
from hdl.synth.gates import emit_gates

__all__ = [
    "BUILD_ROOT",
    "DEFAULT_SIMULATOR",
    "SIMULATORS",
    "Build",
    "build",
    "compiled",
    "digest",
    "emitted",
    "pin_parameters",
    "simulate",
]

SIMULATORS: dict[str, Simulator] = {s.name: s for s in (Icarus(), Verilator())}
DEFAULT_SIMULATOR = "icarus"
TESTBENCH_FOLDER = Path(testbench.__file__).parent
BUILD_ROOT = code_folder()
BENCH = [TESTBENCH_FOLDER / name for name in (f"{TESTBENCH}.v", "array_side.v", "pin_rules.v")]


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
    SIMULATORS[simulator].check()
    path = (verilog or _emitted_head(spec, build_root, gates, say)) / f"{TOP}.json"
    contract = read_contract(path)
    width = port_widths(contract)
    parameters = {
        **pin_parameters(spec, contract, "pins"),
        "LENGTH_BITS": width["window_length"],
        "SCHEDULE_BITS": width["schedule"],
        "EXACT": int(exact),
    }
    included = {INCLUDED: rule_numbers(spec)}
    options = {"included": included, "waves": waves, "say": say}
    return compiled(spec, simulator, path, BENCH, parameters, build_root, **options)


def compiled(
    spec: HardwareSpec,
    simulator: str,
    contract: Path,
    bench: list[Path],
    parameters: dict[str, int],
    build_root: Path,
    *,
    included: Mapping[str, str] | None = None,
    waves: bool = False,
    say: bool = False,
) -> Build:
    """Compile a testbench with the Verilog of `contract`, unless the same has been before.

    bench: its sources. included: text of files that they include, by name. The other arguments are
    those of `build`.
    """
    chosen = SIMULATORS[simulator]
    verilog, sha256 = simulated(contract)
    identity = digest(
        sha256,
        *(source.read_text("utf-8") for source in bench),
        Path(sys.modules[type(chosen).__module__].__file__ or "").read_text("utf-8"),
        chosen.version(),
        str(chosen.place()),
        parameters,
        dict(included or {}),
        waves,
    )
    folder = (build_root / simulator / identity).resolve()
    what = f"the simulation with {chosen.title} (about {chosen.compile_s} s, once)"
    with made_once(folder, what if say else "") as missing:
        if missing:
            for name, text in (included or {}).items():
                write_text(folder / name, text)
            sources = [verilog.resolve(), *bench]
            chosen.compile(sources, parameters, folder, waves)
    return Build(spec, chosen, folder, contract.resolve())


def emitted(build_root: Path, what: str, write: Callable[[Path], Any], *parts: Any) -> Path:
    """The folder with the Verilog that `write` leaves in it, made once for the same `parts`.

    parts: what it is made of, beside the sources of the RTL. what: said while it is made; nothing
    is if empty.
    """
    folder = build_root / "verilog" / digest(*parts, *_sources("*.py", "emit/*.py"))
    with made_once(folder, what) as missing:
        if missing:
            write(folder)
    return folder


def _emitted_head(spec: HardwareSpec, build_root: Path, gates: bool, say: bool) -> Path:
    what = (
        "the gates of the head (about a minute)" if gates else "the Verilog of the head (about 5 s)"
    )
    write = emit_gates if gates else emit
    flow = _sources("synth/**/*.*") if gates else []
    spec = spec.ideal  # no imperfection of the analog side reaches the RTL
    return emitted(build_root, what if say else "", lambda at: write(spec, at), spec.hash, *flow)


@contextmanager
def made_once(folder: Path, what: str) -> Iterator[bool]:
    """Whether `folder` has yet to be made, by the caller and by no other process meanwhile.

    An interrupted or failed attempt is wiped by the next. what: said on stderr while it is made.
    Raises `ToolError` for a folder in which code of others may lie, or of a path that programs do
    not take.
    """
    check_path(folder)
    done = folder / "made.json"
    with locked(folder.with_name(f"{folder.name}.lock")):
        if done.exists():
            check_trusted(folder)
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
        close_to_others(folder)
        took = time.perf_counter() - start
        write_json(done, {"seconds": round(took, 1)})
        if what:
            print(f"done in {took:.0f} s", file=sys.stderr, flush=True)


def digest(*parts: Any) -> str:
    """Short name for what is made of `parts`."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _sources(*patterns: str) -> list[str]:
    """What Verilog is made of: the files of `hdl` that match one, and the version of Amaranth."""
    folder = Path(hdl.__file__).parent
    files = sorted(file for pattern in patterns for file in folder.glob(pattern))
    texts = (file.read_text("utf-8") for file in files if file.suffix in (".py", ".v"))
    return [version("amaranth"), *texts]


def pin_parameters(spec: HardwareSpec, contract: dict[str, Any], pins: str) -> dict[str, int]:
    """Parameters of a testbench that say how wide streams and pins are; pins: prefix of theirs."""
    width = port_widths(contract)
    return {
        "T_CLK": spec.clock.t_clk_ps,
        "DIM": width[f"{pins}__q_pulse"],
        "WINDOW": width[f"{pins}__phi"],
        "OUTPUTS": width[f"{pins}__out_pulse"],
        "TOKEN_BITS": width["token__payload"],
        "RESULT_BITS": width["result__payload"],
        "SLOT_BITS": width[f"{pins}__write__slot"],
        "CODE_BITS": width[f"{pins}__write__code"],
        "SCORE_CYCLES": max(len(s.phases["score"]) for s in spec.schedules.values()),
        "WIDTH_BITS": width_bits(spec),
    }
