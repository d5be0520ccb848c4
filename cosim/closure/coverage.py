"""Functional coverage: run jobs until everything declared has happened, and check all of them.

    python -m cosim.closure.coverage [--tokens N]

Random jobs come first; then sequences that are known to make a missing combination are repeated in
the schedule and under the back-pressure that it still lacks. What is counted is what the RTL did.
"""

import argparse
from pathlib import Path
from typing import Any

from analog_models.spec import HardwareSpec
from common.arguments import natural, seed_number
from common.errors import GaincellError, run_command
from common.files import write_json, write_text
from common.provenance import provenance
from common.tables import table
from cosim.arguments import command_parser
from cosim.closure.bins import IMPOSSIBLE, CoverageModel, declared_points, events
from cosim.closure.directed import Recipes, directed_job
from cosim.closure.stimulus import closure_spec, random_job
from cosim.closure.unknown import unknown_pins, without_initial_values
from cosim.reference.judge import fault
from cosim.run.building import simulate
from cosim.run.job import Job
from hdl.emit.contract import simulated
from hdl.emit.verilog import TOP, emit

RANDOM_JOBS, RANDOM_TOKENS = 6, 250  # they begin in all ways that `random_job` knows
DIRECTED_TOKENS = 800
SEARCHES, SEARCH_TOKENS = 20, 2000  # random jobs that are only tried in the golden head
UNKNOWN_CYCLES = 4000
SHOWN = 20  # missing bins


def main() -> int:
    """Command line: 0 if all bins were hit and no pin was unknown, 1 if not, 2 on a fault."""
    args = _arguments()
    spec = closure_spec()
    unknown = from_unknown(spec, args.build)
    model = CoverageModel(declared_points(spec))
    tokens = close(spec, model, args.tokens, args.seed)
    return report(spec, model, tokens, unknown, args)


def close(spec: HardwareSpec, model: CoverageModel, limit: int, seed: int) -> int:
    """Co-simulate until nothing is missing or `limit` tokens have run; returns how many did.

    Raises `GaincellError` if the RTL did anything wrong.
    """
    tokens = 0
    recipes = Recipes(spec)
    for number in range(RANDOM_JOBS):
        job = random_job(spec, RANDOM_TOKENS, seed + number)
        tokens += _run(spec, model, job)
    for number in range(SEARCHES):
        recipes.look(SEARCH_TOKENS, seed + number)
    while (missing := model.missing("all six")) and tokens < limit:
        number += 1
        job = directed_job(spec, missing, recipes, DIRECTED_TOKENS, seed + number)
        if job is None:
            break
        tokens += _run(spec, model, job)
    return tokens


def _run(spec: HardwareSpec, model: CoverageModel, job: Job) -> int:
    outcome = simulate(spec, job)
    if wrong := fault(spec, job, outcome):
        raise GaincellError(f"seed {job.seed}: {wrong}")
    for event in events(spec, job, outcome.rows, outcome.counts):
        model.sample(event)
    hits = model.hits()["all six"]
    print(f"{job.tokens} tokens, all six: {sum(map(bool, hits.values()))}/{len(hits)}", flush=True)
    return job.tokens


def from_unknown(spec: HardwareSpec, build: Path) -> list[str]:
    """Output pins that are unknown after a reset from unknown registers and inputs.

    Raises `GaincellError` if an unknown value reaches a result of a random job.
    """
    folder = build / "coverage" / "unknown"
    contract = emit(spec, folder)
    path, sha256 = simulated(folder / f"{TOP}.json")
    text = without_initial_values(path.read_text("utf-8"))
    pins = unknown_pins(text, contract, UNKNOWN_CYCLES, folder)
    write_text(path, text)
    contract["simulation"]["sha256"] = f"unknown {sha256}"
    write_json(folder / f"{TOP}.json", contract)
    job = random_job(spec, RANDOM_TOKENS, 0)
    if wrong := fault(spec, job, simulate(spec, job, verilog=folder)):
        raise GaincellError(f"with registers unknown until the reset: {wrong}")
    return pins


def report(
    spec: HardwareSpec,
    model: CoverageModel,
    tokens: int,
    unknown: list[str],
    args: argparse.Namespace,
) -> int:
    """Print the table, write `result.json`, and return the exit status."""
    hits = model.hits()
    rows, missing = [], []
    for name, bins in hits.items():
        hit = sum(map(bool, bins.values()))
        fewest = min(bins.values())
        rows.append([name, len(bins), hit, f"{hit / len(bins):.1%}", fewest])
        missing += [f"{name}: {_text(one)}" for one, count in bins.items() if not count]
    print("\n" + table(["point or cross", "bins", "hit", "share", "fewest hits"], rows))
    for line in missing[:SHOWN]:
        print(f"MISSING {line}")
    if len(missing) > SHOWN:
        print(f"and {len(missing) - SHOWN} more")
    for line in unknown[:SHOWN]:
        print(f"UNKNOWN after reset: {line}")
    bins = sum(len(bins) for bins in hits.values())
    percent = 100 * (bins - len(missing)) / bins
    result = {
        "spec_hash": spec.hash,
        "tokens": tokens,
        "seed": args.seed,
        "bins": bins,
        "hits": bins - len(missing),
        "percent": percent,
        "missing": missing,
        "unknown_after_reset": len(unknown),
        "cycles_after_reset": UNKNOWN_CYCLES,
        "impossible": [{"bins": crossed, "reason": reason} for crossed, reason in IMPOSSIBLE],
        "points": {name: {_text(b): n for b, n in bins.items()} for name, bins in hits.items()},
        **provenance(("amaranth", "cocotb", "cocotb-coverage", "numpy")),
    }
    path = write_json(args.build / "coverage" / "result.json", result)
    print(f"{percent:.1f} % of {bins} bins with {tokens} tokens, no mismatch")
    print(f"unknown pins in {UNKNOWN_CYCLES} cycles after reset: {len(unknown)}\nresult: {path}")
    return 1 if missing or unknown else 0


def _text(one: Any) -> str:
    """Name of a bin."""
    return " | ".join(map(_text, one)) if isinstance(one, tuple) else str(one)


def _arguments() -> argparse.Namespace:
    parser = command_parser("coverage", __doc__, golden=False)
    add = parser.add_argument
    add("--tokens", type=natural(1), default=20000, metavar="N", help="at most (20000)")
    add("--seed", type=seed_number, default=0, metavar="N", help="of the random jobs (0)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
