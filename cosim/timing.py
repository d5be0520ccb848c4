"""Co-simulate workloads that no virtual model has seen and write in which cycles each token ran.

    python -m cosim.timing [--tokens N] [--golden DIR] [--build DIR]

Random gaps, stalls, flushes, further queries and changes of schedule on small heads of several
specifications, a small core, and text on the full-size head. `python -m estimate.validate` compares
what it predicts.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.spec import HardwareSpec, Schedule, load_preset
from common.arguments import natural
from common.errors import run_command
from common.files import write_json
from common.provenance import provenance
from cosim.arguments import command_parser
from cosim.closure.stimulus import closure_spec, random_job
from cosim.core import simulate_core
from cosim.reference.golden_streams import load_golden
from cosim.run.building import DEFAULT_SIMULATOR, SIMULATORS, build
from cosim.run.core_job import CoreJob
from cosim.run.job import Job

SEED = 9_000  # far from those that tests and coverage use
CORE_HEADS = 3
FULL_SIZE_SHARE = 8  # the full-size head is slow: an eighth of the tokens


def main() -> int:
    """Command line: run them all and write `result.json`."""
    args = _arguments()
    folder = args.build / "timing"
    rows = []
    for row in _rows(args, folder):
        rows.append(row)
        print(f"{row['name']}: {row['tokens']} tokens, {row['wall_s']:.1f} s", flush=True)
    simulator = f"{DEFAULT_SIMULATOR} {SIMULATORS[DEFAULT_SIMULATOR].version()}"
    result = {"simulator": simulator, "workloads": rows}
    result |= provenance(("amaranth", "cocotb", "cocotbext-axi", "numpy"))
    print(f"result: {write_json(folder / 'result.json', result)}")
    return 0


def _rows(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    for spec in (closure_spec(), _slow_spec()):
        for seed in range(SEED, SEED + 3):
            job = random_job(spec, args.tokens, seed)
            yield head_row(spec, f"{spec.name} head, random, seed {seed}", job, folder)
    spec = load_preset()
    stream = load_golden(spec, args.golden).wrap_stream(max(2, args.tokens // FULL_SIZE_SHARE))
    for schedule in spec.schedules:
        job = stream.job(spec, schedule)
        yield head_row(spec, f"full size, text, {schedule}", job, folder)
    job = replace(job, max_gap=40, max_stall=40, seed=SEED)
    yield head_row(spec, f"full size, text, {schedule}, back-pressure", job, folder)
    spec = closure_spec()
    for number, schedule in enumerate(spec.schedules):
        yield _core(spec, f"core of {CORE_HEADS} heads, {schedule}", number, args, folder)


def _slow_spec() -> HardwareSpec:
    """A schedule of phases longer than any preset's, and one with two tokens in flight."""
    spec = closure_spec()
    slow = Schedule.sequential(write=6, reset=7, score=18, activate=21, settle=3, read_out=19)
    lazy = spec.schedules["pipelined"].model_copy(update={"period": 36, "hold": 0})
    return spec.replace(name="slow", schedules={"slow": slow, "lazy": lazy})


def head_row(spec: HardwareSpec, name: str, job: Job, folder: Path) -> dict[str, Any]:
    """What a virtual model needs to know of a job, and when its tokens ran."""
    job.check(spec)
    outcome = build(spec, DEFAULT_SIMULATOR, say=True).run(job)
    columns = {
        "query_only": job.query_only,
        "schedule": job.schedule,
        "gap": job.gaps,
        "stall": job.stalls,
    }
    observed = {"accepted": outcome.accepted, "finished": outcome.finished}
    wall_s = float(outcome.wall_s.sum())
    return _row(spec, name, 1, columns, observed, wall_s, folder)


def _core(
    spec: HardwareSpec, name: str, schedule: int, args: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    tokens = max(2, args.tokens // 4)
    heads = [random_job(spec, tokens, SEED + head) for head in range(CORE_HEADS)]
    q, k, v = (np.stack([getattr(h, n) for h in heads], axis=1) for n in "qkv")
    first = heads[0]
    flags = (first.flush, first.query_only)
    job = CoreJob(q, k, v, *flags, schedule=schedule, window_length=spec.geometry.window)
    start = time.perf_counter()
    outcome = simulate_core(spec, job, say=True)
    wall_s = time.perf_counter() - start
    zeros = np.zeros(tokens, dtype=np.int64)
    columns = {
        "query_only": first.query_only,
        "schedule": zeros + schedule,
        "gap": zeros,
        "stall": zeros,
    }
    taken = outcome.cycles[CORE_HEADS - 1 :: CORE_HEADS]
    return _row(spec, name, CORE_HEADS, columns, {"taken": taken}, wall_s, folder)


def _row(
    spec: HardwareSpec,
    name: str,
    heads: int,
    columns: dict[str, np.ndarray],
    observed: dict[str, np.ndarray],
    wall_s: float,
    folder: Path,
) -> dict[str, Any]:
    """One workload with what was seen, the specification in a file beside the result."""
    write_json(folder / f"{spec.name}.json", spec.to_tree())
    return {
        "name": name,
        "spec": f"{spec.name}.json",
        "spec_hash": spec.hash,
        "heads": heads,
        "tokens": len(columns["gap"]),
        "columns": {key: column.tolist() for key, column in columns.items()},
        "observed": {key: column.tolist() for key, column in observed.items()},
        "wall_s": wall_s,
    }


def _arguments() -> argparse.Namespace:
    parser = command_parser("timing", __doc__)
    text = "tokens of each random workload (400)"
    parser.add_argument("--tokens", type=natural(8, 10**6), default=400, metavar="N", help=text)
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
