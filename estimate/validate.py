"""Compare the virtual model with co-simulations of workloads that it has not seen.

    python -m estimate.validate [--build DIR]

Reads what `python -m cosim.timing` wrote. Accuracy is 1 - |predicted - co-simulated| /
co-simulated, of the processing time from the first accepted token (a core: taken result) to the
last result.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.spec import load_spec
from analog_models.timing import Timing, predict
from common.errors import ArtefactError, run_command, shown
from common.files import write_json
from common.provenance import provenance
from common.tables import table
from estimate.errors import EstimateError
from estimate.timing_file import TimedRun, TimingFile

__all__ = ["PUBLISHED_ACCURACY", "compare", "validate"]

PUBLISHED_ACCURACY = 0.92
"""What Klaiber et al. (arXiv 1910.11632) report of their virtual models."""
REPEATS = 9  # the fastest of them is what the model takes


def validate(timing: Path) -> dict[str, Any]:
    """Rows and the worst of them, for the file that the co-simulation wrote.

    Raises `EstimateError` if it is missing, not as that writes it, or there is nothing to compare.
    """
    try:
        found = TimingFile.read(timing)
    except ArtefactError as error:
        raise EstimateError(f"{error}; run `make validate`") from error
    rows = [compare(run, timing) for run in found.workloads]
    largest = max(row["window"] for row in rows)
    heads = [r["times_faster"] for r in rows if r["times_faster"] and r["window"] == largest]
    if not heads:
        raise EstimateError(f"{timing}: has no head of full size by itself; run `make validate`")
    return {
        "accuracy": min(row["accuracy"] for row in rows),
        "tokens": sum(row["tokens"] for row in rows),
        "tokens_off": sum(row["tokens_off"] for row in rows),
        "times_faster_full_size": min(heads),
        "published_accuracy": PUBLISHED_ACCURACY,
        "simulator": found.simulator,
        "rows": rows,
        "cosim": {"git": found.git.model_dump(exclude_unset=True), "time_utc": found.time_utc},
    }


def compare(run: TimedRun, timing: Path) -> dict[str, Any]:
    """One workload of a file: cycles seen and predicted, and how long both took.

    tokens_off: how many tokens have any edge that is not where it was predicted.
    """
    where = f"{timing}: {shown(run.name)}"
    spec = load_spec(timing.parent / run.spec)
    if spec.hash != run.spec_hash:
        raise EstimateError(f"{where}: {run.spec} is another specification; run `make validate`")
    workload = run.workload
    if run.heads > 1:
        workload = workload.in_core(run.heads)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        predicted = predict(spec, workload)
        seconds.append(time.perf_counter() - start)
    seen: dict[str, np.ndarray] = {kind: np.asarray(e) for kind, e in run.observed.items()}
    offsets = _offsets(where, seen, predicted)
    ends = max(seen, key=lambda name: int(seen[name][-1]))
    first = min(seen, key=lambda name: int(seen[name][0]))
    cycles = int(seen[ends][-1] - seen[first][0])
    if cycles <= 0:
        raise EstimateError(f"{where}: observed edges take no time; run `make validate`")
    guess = int(getattr(predicted, ends)[-1] - getattr(predicted, first)[0])
    return {
        "name": run.name,
        "tokens": run.tokens,
        "window": spec.geometry.window,
        "cycles": cycles,
        "predicted_cycles": guess,
        "accuracy": 1 - abs(guess - cycles) / cycles,
        "tokens_off": int(np.any([o != 0 for o in offsets], axis=0).sum()),
        "cosim_s": run.wall_s,
        "model_s": min(seconds),
        "times_faster": run.wall_s / min(seconds) if run.heads == 1 else None,
    }


def _offsets(where: str, seen: Mapping[str, np.ndarray], predicted: Timing) -> list[np.ndarray]:
    """Edges seen minus predicted, the first token's first edge being the same."""
    columns = [(edges, getattr(predicted, kind)) for kind, edges in seen.items()]
    if not columns or any(len(a) != len(b) for a, b in columns):
        raise EstimateError(f"{where}: observed edges do not fit the workload; run `make validate`")
    zero = columns[0][0][0] - columns[0][1][0]
    return [a - b - zero for a, b in columns]


def main() -> int:
    """Command line: print the rows, write `validation.json`; 1 below 99 % accuracy."""
    parser = argparse.ArgumentParser(
        prog="python -m estimate.validate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--build", type=Path, default=Path("build"), help="for results (build)")
    args = parser.parse_args()
    result = validate(args.build / "timing" / "result.json")
    rows = [
        [
            row["name"],
            row["tokens"],
            row["cycles"],
            row["predicted_cycles"],
            f"{row['accuracy']:.2%}",
            row["tokens_off"],
            "-" if row["times_faster"] is None else f"{row['times_faster']:,.0f}",
        ]
        for row in result["rows"]
    ]
    header = ["workload", "tokens", "co-simulated", "predicted", "accuracy", "off", "times faster"]
    print(table(header, rows))
    print(f"\nworst accuracy {result['accuracy']:.2%}; at full size at least", end=" ")
    print(f"{result['times_faster_full_size']:,.0f} times faster than {result['simulator']}")
    result |= provenance(("numpy",))
    print(f"result: {write_json(args.build / 'estimate' / 'validation.json', result)}")
    return 0 if result["accuracy"] >= 0.99 else 1


if __name__ == "__main__":
    run_command(main)
