"""Measure how fast the co-simulation runs, as ratios within one run, and the cycles of the RTL.

    python -m cosim.bench [--sim NAME] [--workers N] [--tokens N] [--repeats N]

Absolute speeds depend on the machine and on what else it does; ratios hold.
"""

import argparse
import time
from dataclasses import replace
from statistics import median

import numpy as np

from analog_models.head import GoldenHead
from analog_models.spec import HardwareSpec, load_preset
from common.arguments import natural
from common.errors import run_command
from common.files import write_json
from common.provenance import provenance
from common.tables import table
from cosim.arguments import add_simulator, command_parser
from cosim.reference.golden_streams import load_golden
from cosim.run.building import DEFAULT_SIMULATOR, SIMULATORS, build
from cosim.run.job import Job
from cosim.run.workers import run_jobs

CYCLE_TOKENS = 16  # of each schedule, to see how many cycles they take
EXACT_SHARE = 10  # exact pulses are slow: a tenth of the tokens is enough
NUMPY = "golden head, numpy alone"


def main() -> int:
    """Command line: print the tables and write `result.json`."""
    args = _arguments()
    spec = load_preset()
    job = load_golden(spec, args.golden).wrap_stream(args.tokens).job(spec)
    simulators = [args.sim] if args.sim else list(SIMULATORS)
    for simulator in simulators:
        build(spec, simulator, say=True)
    cycles = {name: _cycles(spec, name, job, simulators[0]) for name in spec.schedules}
    measured: dict[str, list[float]] = {}
    for repeat in range(args.repeats + 1):  # the first warms up
        rates = _measure(spec, job, simulators, args)
        print(f"run {repeat} of {args.repeats}{'' if repeat else ' (warm-up, not counted)'}")
        for name, rate in rates.items() if repeat else ():
            measured.setdefault(name, []).append(rate)
    _report(spec, simulators, measured, cycles, args)
    return 0


def _measure(
    spec: HardwareSpec, job: Job, simulators: list[str], args: argparse.Namespace
) -> dict[str, float]:
    """Tokens per second of each way to compute the same tokens, one after the other."""
    rates: dict[str, float] = {}
    for simulator in simulators:
        compiled = build(spec, simulator)
        for workers in sorted({1, args.workers}):
            _, wall_s = run_jobs(compiled, [job] * workers, workers)
            rates[_name(simulator, workers)] = workers * job.tokens / wall_s
    start = time.perf_counter()
    GoldenHead(spec).run(job.q, job.k, job.v)
    rates[NUMPY] = job.tokens / (time.perf_counter() - start)
    if DEFAULT_SIMULATOR in simulators:
        rates |= _measure_exact(spec, job)
    return rates


def _measure_exact(spec: HardwareSpec, job: Job) -> dict[str, float]:
    """What the exact picosecond costs, on one sub-tile."""
    subtile = spec.replace(name="one-subtile", geometry__subtiles=1)
    rates = {}
    for exact, name in ((False, "pulses as words"), (True, "exact pulses")):
        part = _first(job, max(2, job.tokens // EXACT_SHARE), subtile, exact)
        outcome = build(subtile, DEFAULT_SIMULATOR, exact=exact).run(part)
        rates[f"{DEFAULT_SIMULATOR}, one sub-tile, {name}"] = (
            part.tokens / outcome.wall_s.sum().item()
        )
    return rates


def _cycles(spec: HardwareSpec, schedule: str, job: Job, simulator: str) -> tuple[int, int]:
    """Cycles per token and between tokens that the RTL took, the same for every token."""
    tokens = min(CYCLE_TOKENS, job.tokens)
    numbers = np.full(tokens, spec.schedule_number(schedule), dtype=np.uint8)
    part = replace(_first(job, tokens, spec), schedule=numbers)
    outcome = build(spec, simulator).run(part)
    (took,), (between,) = set(outcome.cycles.tolist()), set(np.diff(outcome.accepted).tolist())
    return took, between


def _first(job: Job, tokens: int, spec: HardwareSpec, exact: bool = False) -> Job:
    length = np.full(tokens, spec.geometry.window, dtype=np.int32)
    return replace(job.take(np.arange(tokens)), window_length=length, exact=exact)


def _name(simulator: str, workers: int) -> str:
    return f"{simulator}, {workers} at once" if workers > 1 else simulator


def _report(
    spec: HardwareSpec,
    simulators: list[str],
    measured: dict[str, list[float]],
    cycles: dict[str, tuple[int, int]],
    args: argparse.Namespace,
) -> None:
    rates = {name: median(of) for name, of in measured.items()}
    rows = [
        [
            name,
            f"{rates[name]:.0f}",
            f"{min(of):.0f} ... {max(of):.0f}",
            f"{rates[name] / rates[simulators[0]]:.2f}",
        ]
        for name, of in measured.items()
    ]
    print(f"\n{args.tokens} tokens, median of {args.repeats} runs:")
    print(table(["head-tokens per second", "median", "range", "ratio"], rows))
    limit = spec.levels.q_max + spec.pulse_cycles + spec.levels.count_max
    rows = [
        [name, took, spec.schedules[name].latency, f"{took / limit:.2f}", between]
        for name, (took, between) in cycles.items()
    ]
    print(f"\ncycles per token, where three pulses alone take {limit}:")
    header = ["schedule", "RTL", "specification", "ratio to the limit", "between tokens"]
    print(table(header, rows))
    result = {
        "spec_hash": spec.hash,
        "cycles_per_token": {name: took for name, (took, _) in cycles.items()},
        "cycles_between_tokens": {name: between for name, (_, between) in cycles.items()},
        "cycles_of_three_pulses": limit,
        "head_tokens_per_second": {name: rates[name] for name in simulators},
        "head_tokens_per_second_at_once": {
            name: rates[_name(name, args.workers)] for name in simulators
        },
        "workers": args.workers,
        "simulators": {name: SIMULATORS[name].version() for name in simulators},
        "measured": measured,
        **provenance(("amaranth", "cocotb", "numpy")),
    }
    print(f"result: {write_json(args.build / 'bench' / 'result.json', result)}")


def _arguments() -> argparse.Namespace:
    parser = command_parser("bench", __doc__)
    add_simulator(parser, default=None)
    add = parser.add_argument
    add("--tokens", type=natural(2), default=300, metavar="N", help="tokens of each run (300)")
    add("--repeats", type=natural(1, 10**4), default=5, metavar="N", help="runs that count (5)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
