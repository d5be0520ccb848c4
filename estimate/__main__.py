"""Latency, energy and area of a specification, beside the published figures.

    python -m estimate [--spec SPEC] [--tree [DEPTH]] [--schedule NAME] [--basis NAME] [--build DIR]
    python -m estimate sweep ...   (design-space exploration: see its --help)

Cycles, gates and signals were measured (`estimate/measured.json`, `make measure`). With --tree only
the energy of one token is printed, opened down to one action.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from analog_models.spec import DEFAULT_PRESET, find_spec
from common.arguments import natural
from common.errors import run_command
from common.files import write_json
from common.provenance import provenance
from estimate.head import BASES
from estimate.measured import MEASURED, load_measured
from estimate.overview import Estimate
from estimate.show import show


def main() -> int:
    """Command line: print the tables and write `result.json`; 1 if a published row is off."""
    if sys.argv[1:2] == ["sweep"]:
        from estimate.sweep.command import main as sweep  # takes a second: it can plot

        return sweep(sys.argv[2:])
    args = _arguments()
    spec = find_spec(args.spec)
    estimate = Estimate(spec, load_measured(args.measured))
    if args.tree is not None:
        head = estimate.head(args.schedule or next(iter(spec.schedules)))
        energy = head.token_energy(estimate.activity, args.basis or BASES[0])
        print("\n".join(energy.lines(1e-12, "pJ", args.tree)))
        return 0
    tree: dict[str, Any] = estimate.to_tree() | provenance(("numpy", "pydantic"))
    result = write_json(args.build / "estimate" / "result.json", tree)
    print(f"{show(tree)}\n\nresult: {result}")
    return 0 if all(row["within"] for row in tree["published"]) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m estimate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help=f"a preset or a JSON file ({DEFAULT_PRESET})")
    add(
        "--tree",
        type=natural(0, 1000),
        nargs="?",
        const=9,
        metavar="DEPTH",
        help="energy of one token, opened",
    )
    add("--schedule", metavar="NAME", help="for --tree (the first)")
    add("--basis", choices=BASES, help=f"for --tree: digital part ({BASES[0]})")
    add("--measured", type=Path, default=MEASURED, help="what was measured")
    add("--build", type=Path, default=Path("build"), help="for results (build)")
    args = parser.parse_args()
    if args.tree is None and (args.schedule or args.basis):
        parser.error("--schedule and --basis are for --tree; the tables have all of them")
    return args


if __name__ == "__main__":
    run_command(main, resumable=sys.argv[1:2] == ["sweep"])
