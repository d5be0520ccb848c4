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

from analog_models.errors import run_command
from analog_models.files import read_json, write_json
from analog_models.provenance import provenance
from analog_models.spec import load_spec
from analog_models.table import table
from estimate.errors import EstimateError
from estimate.virtual import Timing, predict
from estimate.workload import Workload

__all__ = ["PUBLISHED_ACCURACY", "compare", "validate"]

PUBLISHED_ACCURACY = 0.92
"""What Klaiber et al. (arXiv 1910.11632) report of their virtual models."""
REPEATS = 9  # the fastest of them is what the model takes


def validate(timing: Path) -> dict[str, Any]:
    """Rows and the worst of them, for the file that the co-simulation wrote.

    Raises `ArtefactError` if it is missing, `EstimateError` if there is nothing to compare.
    """
    found = read_json(timing)
    if not isinstance(found, Mapping) or not found.get("workloads"):
        raise EstimateError(f"{timing}: has no workloads; run `make validate`")
    rows = [compare(row, timing.parent) for row in found["workloads"]]
    heads = [row for row in rows if row["times_faster"] is not None]
    return {
        "accuracy": min(row["accuracy"] for row in rows),
        "tokens": sum(row["tokens"] for row in rows),
        "tokens_off": sum(row["tokens_off"] for row in rows),
        "times_faster_full_size": min(
            row["times_faster"] for row in heads if row["window"] == max(r["window"] for r in rows)
        ),
        "published_accuracy": PUBLISHED_ACCURACY,
        "simulator": found["simulator"],
        "rows": rows,
        "cosim": {key: found[key] for key in ("git", "time_utc")},
    }


def compare(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """One workload: cycles seen and predicted, and how long both took.

    tokens_off: how many tokens have any edge that is not where it was predicted.
    """
    spec = load_spec(folder / row["spec"])
    workload = Workload.from_columns(row["columns"])
    if row["heads"] > 1:
        workload = workload.in_core(row["heads"])
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        predicted = predict(spec, workload)
        seconds.append(time.perf_counter() - start)
    seen = {name: np.asarray(edges) for name, edges in row["observed"].items()}
    offsets = _offsets(row["name"], seen, predicted)
    ends = max(seen, key=lambda name: int(seen[name][-1]))
    first = min(seen, key=lambda name: int(seen[name][0]))
    cycles = int(seen[ends][-1] - seen[first][0])
    guess = int(getattr(predicted, ends)[-1] - getattr(predicted, first)[0])
    return {
        "name": row["name"],
        "tokens": row["tokens"],
        "window": spec.geometry.window,
        "cycles": cycles,
        "predicted_cycles": guess,
        "accuracy": 1 - abs(guess - cycles) / cycles,
        "tokens_off": int(np.any([o != 0 for o in offsets], axis=0).sum()),
        "cosim_s": row["wall_s"],
        "model_s": min(seconds),
        "times_faster": row["wall_s"] / min(seconds) if row["heads"] == 1 else None,
    }


def _offsets(name: str, seen: Mapping[str, np.ndarray], predicted: Timing) -> list[np.ndarray]:
    """Edges seen minus predicted, the first token's first edge being the same."""
    columns = [(edges, getattr(predicted, kind)) for kind, edges in seen.items()]
    if not columns or any(len(a) != len(b) for a, b in columns):
        raise EstimateError(f"{name}: observed edges do not fit the workload; run `make validate`")
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
