"""Soak: a million random tokens through a small head, every code compared with numpy.

    python -m cosim.closure.soak [--tokens N] [--seed N] [--workers N]

Runs in jobs of some thousand tokens, each from a seed of its own. What is done is kept in
`soak/state.json`: an interrupted soak goes on where it was.
"""

import argparse
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from analog_models import timing
from analog_models.spec import HardwareSpec
from common.arguments import natural, seed_number
from common.errors import GaincellError, ToolError, run_command
from common.files import write_json
from common.processes import threads
from common.progress import ProgressLine
from common.provenance import provenance
from common.resume import Kept, kept_in
from cosim.arguments import add_simulator, command_parser
from cosim.closure import stimulus
from cosim.closure.stimulus import closure_spec, random_job
from cosim.reference import batch, judge
from cosim.reference.judge import fault
from cosim.run.building import DEFAULT_SIMULATOR, SIMULATORS, Build, build, digest
from hdl.emit.verilog import emit

JOB_TOKENS = 4000


Number = Annotated[str, Field(pattern="^(0|[1-9][0-9]{0,18})$")]  # as keys of JSON are


class KeptState(Kept):
    """A `State` as its file has it."""

    done: dict[Number, Annotated[int, Field(ge=1)]]
    faults: dict[Number, str]
    seconds: Annotated[float, Field(gt=0)]


@dataclass
class State:
    """What a soak has done; `identity` says of what, and another soak starts anew."""

    identity: str
    done: dict[int, int] = field(default_factory=dict)  # tokens by job
    faults: dict[int, str] = field(default_factory=dict)  # by seed
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return sum(self.done.values())

    @classmethod
    def load(cls, path: Path, identity: str) -> "State":
        """The state in a file, or a fresh one if that is missing or of another soak."""
        kept = kept_in(path, KeptState, identity)
        if kept is None:
            return cls(identity)
        done = {int(job): tokens for job, tokens in kept.done.items()}
        faults = {int(seed): text for seed, text in kept.faults.items()}
        return cls(identity, done, faults, kept.seconds)


def main() -> int:
    """Command line: 0 if nothing was wrong, 1 if something was, 2 on an error."""
    args = _arguments()
    spec = closure_spec()
    path = args.build / "soak" / "state.json"
    state = State.load(path, identity(spec, args))
    if state.done:
        print(f"resuming after {state.tokens:,} tokens", file=sys.stderr)
    soak(spec, state, path, args)
    result = {
        "spec_hash": spec.hash,
        "simulator": args.sim,
        "seed": args.seed,
        "tokens": state.tokens,
        "jobs": len(state.done),
        "mismatches": len(state.faults),
        "faults": [f"seed {seed}: {text}" for seed, text in sorted(state.faults.items())],
        "seconds": round(state.seconds, 1),
        "tokens_per_second": round(state.tokens / state.seconds, 1),
        **provenance(("amaranth", "cocotb", "numpy")),
    }
    result_path = write_json(args.build / "soak" / "result.json", result)
    for line in result["faults"]:
        print(f"FAULT {line}")
    print(f"{state.tokens:,} tokens in {len(state.done)} jobs, {len(state.faults)} with a fault")
    print(f"result: {result_path}")
    return 1 if state.faults else 0


def identity(spec: HardwareSpec, args: argparse.Namespace) -> str:
    """What a soak tests and with what: Verilog, stimulus and judgement."""
    contract = emit(spec, args.build / "soak" / "verilog")
    sources = [
        Path(module.__file__ or "").read_text("utf-8")
        for module in (stimulus, batch, judge, timing)
    ]
    parts = [contract["simulation"]["sha256"], args.seed, args.job_tokens, *sources]
    return digest(*parts)


def soak(spec: HardwareSpec, state: State, path: Path, args: argparse.Namespace) -> None:
    """Run the jobs that are missing, several at once; the state is saved after each."""
    sizes = [
        min(args.job_tokens, args.tokens - start)
        for start in range(0, args.tokens, args.job_tokens)
    ]
    left = [number for number, size in enumerate(sizes) if state.done.get(number, 0) < size]
    if not left:
        return
    compiled = build(spec, args.sim, say=True)
    line = ProgressLine()
    before, start, tokens_before = state.seconds, time.perf_counter(), state.tokens

    def run(number: int) -> tuple[int, int, str]:
        wrong = fault_of_job(compiled, args.seed + number, sizes[number])
        return number, sizes[number], wrong

    with threads(args.workers) as pool:
        running: set[Future] = set()
        while left or running:
            while left and len(running) < args.workers:
                running.add(pool.submit(run, left.pop(0)))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for number, tokens, wrong in (future.result() for future in finished):
                state.done[number] = tokens
                if wrong:
                    state.faults[args.seed + number] = wrong
            seconds = time.perf_counter() - start
            state.seconds = before + seconds
            write_json(path, asdict(state))
            rate = (state.tokens - tokens_before) / seconds
            _show(line, state.tokens, args.tokens, rate, len(state.faults))


def fault_of_job(compiled: Build, seed: int, tokens: int) -> str:
    """What is wrong with the RTL's answer to one random job; empty if nothing."""
    job = random_job(compiled.spec, tokens, seed)
    try:
        return fault(compiled.spec, job, compiled.run(job))
    except GaincellError as error:
        return str(error)


def fastest_simulator() -> str:
    """Verilator where it is installed."""
    try:
        SIMULATORS["verilator"].check()
    except ToolError:
        return DEFAULT_SIMULATOR
    return "verilator"


def _show(line: ProgressLine, done: int, total: int, rate: float, faults: int) -> None:
    left_s = (total - done) / rate
    text = f"soak: {done:,}/{total:,} tokens, {rate:.0f}/s, {left_s / 60:.0f} min left"
    line.show(f"{text}, {faults} faults", last=done == total)


def _arguments(arguments: list[str] | None = None) -> Any:
    parser = command_parser("soak", __doc__, golden=False)
    add = parser.add_argument
    add("--tokens", type=natural(1), default=10**6, metavar="N", help="(1000000)")
    add(
        "--job-tokens",
        type=natural(1, 10**6),
        default=JOB_TOKENS,
        metavar="N",
        help=f"({JOB_TOKENS})",
    )
    add("--seed", type=seed_number, default=0, metavar="N", help="of the first job (0)")
    add_simulator(parser)
    parser.set_defaults(sim=fastest_simulator())
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main, resumable=True)
