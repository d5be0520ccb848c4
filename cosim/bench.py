"""Measure how fast the co-simulation runs, as ratios within one run.

    python -m cosim.bench [--tokens N] [--repeats N]

Absolute speeds depend on the machine and on what else it does; ratios hold.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from analog_models.errors import run_command
from analog_models.files import write_json
from analog_models.head import GoldenHead
from analog_models.provenance import provenance
from analog_models.spec import HardwareSpec, load_preset
from cosim.arguments import command_parser, natural
from cosim.golden import load_golden
from cosim.job import Job
from cosim.runner import SIMULATOR, simulate
from cosim.table import table

CYCLE_TOKENS = 16  # of each schedule, to see how many cycles they take
EXACT_SHARE = 10  # exact pulses are slow: a tenth of the tokens is enough


def main() -> int:
    """Command line: print the table and write `result.json`."""
    args = _arguments()
    spec = load_preset()
    job = load_golden(spec, args.golden).wrap_stream(args.tokens).job(spec)
    subtile = spec.replace(name="one-subtile", geometry__subtiles=1)
    exact_tokens = max(2, args.tokens // EXACT_SHARE)
    measured: dict[str, list[float]] = {}
    cycles = {name: _cycles(spec, name, job, args.build) for name in spec.schedules}
    for repeat in range(args.repeats + 1):  # the first builds and warms up
        rates = _measure(spec, subtile, job, exact_tokens, args.build)
        print(f"run {repeat} of {args.repeats}{'' if repeat else ' (warm-up, not counted)'}")
        if repeat:
            for name, rate in rates.items():
                measured.setdefault(name, []).append(rate)
    _report(spec, measured, cycles, args)
    return 0


def _measure(
    spec: HardwareSpec, subtile: HardwareSpec, job: Job, exact_tokens: int, build: Path
) -> dict[str, float]:
    """Tokens per second of each way to compute the same tokens, one after the other."""
    full = simulate(spec, job, build_root=build)
    start = time.perf_counter()
    GoldenHead(spec).run(job.q, job.k, job.v)
    numpy_s = time.perf_counter() - start
    words = simulate(subtile, _first(job, exact_tokens, subtile), build_root=build)
    exact = simulate(subtile, _first(job, exact_tokens, subtile, exact=True), build_root=build)
    return {
        f"co-simulation, {SIMULATOR}": job.tokens / full.wall_s,
        "golden head, numpy alone": job.tokens / numpy_s,
        "one sub-tile, pulses as words": exact_tokens / words.wall_s,
        "one sub-tile, exact pulses": exact_tokens / exact.wall_s,
    }


def _cycles(spec: HardwareSpec, schedule: str, job: Job, build: Path) -> tuple[int, int]:
    """Cycles per token and between tokens that the RTL took, the same for every token."""
    tokens = CYCLE_TOKENS
    numbers = np.full(tokens, spec.schedule_number(schedule), dtype=np.uint8)
    outcome = simulate(spec, replace(_first(job, tokens, spec), schedule=numbers), build_root=build)
    (took,), (between,) = set(outcome.cycles.tolist()), set(np.diff(outcome.accepted).tolist())
    return took, between


def _first(job: Job, tokens: int, spec: HardwareSpec, exact: bool = False) -> Job:
    length = np.full(tokens, spec.geometry.window, dtype=np.int32)
    codes = (x[:tokens] for x in (job.q, job.k, job.v, job.flush))
    return Job(*codes, window_length=length, exact=exact)


def _report(
    spec: HardwareSpec,
    measured: dict[str, list[float]],
    cycles: dict[str, tuple[int, int]],
    args: argparse.Namespace,
) -> None:
    fastest = median(measured[f"co-simulation, {SIMULATOR}"])
    rows = [
        [
            name,
            f"{median(rates):.0f}",
            f"{min(rates):.0f} ... {max(rates):.0f}",
            f"{median(rates) / fastest:.2f}",
        ]
        for name, rates in measured.items()
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
        "head_tokens_per_second": {SIMULATOR: fastest},
        "measured": measured,
        **provenance(("amaranth", "cocotb", "numpy")),
    }
    print(f"result: {write_json(args.build / 'bench' / 'result.json', result)}")


def _arguments() -> argparse.Namespace:
    parser = command_parser("bench", __doc__)
    add = parser.add_argument
    add("--tokens", type=natural(2), default=300, metavar="N", help="tokens of each run (300)")
    add("--repeats", type=natural(1), default=5, metavar="N", help="runs that count (5)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
