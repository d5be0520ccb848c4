"""Write the report: one self-contained HTML page, and its numbers as JSON.

    python -m estimate.report [--spec SPEC] [--measured FILE] [--build DIR]

The cost model is computed now. What other commands measure is read from the build folder, or from
the records that ship; the page says what was not run. `make report` runs a co-simulation first if
there is none.
"""

import argparse
from pathlib import Path

from analog_models.spec import DEFAULT_PRESET, find_spec
from common.errors import run_command
from common.files import write_json, write_text
from estimate.measured import MEASURED, load_measured
from estimate.overview import Estimate
from estimate.report.page import Report
from estimate.report.sources import find_sources


def main() -> int:
    """Command line; 1 if a published row is off or the golden check found a mismatch."""
    args = _arguments()
    spec = find_spec(args.spec)
    sources = find_sources(spec, args.build)
    report = Report(Estimate(spec, load_measured(args.measured)), sources)
    folder = args.build / "report"
    result = write_json(folder / "result.json", report.result())
    page = write_text(folder / "index.html", report.html())
    for source in report.not_run:
        print(f"not run: {source.name} ({source.command}): {source.note}")
    off = [row["name"] for row in report.tree["published"] if not row["within"]]
    for name in off:
        print(f"outside its tolerance: {name}")
    if report.mismatches:
        print(f"golden check: {report.mismatches} codes differ")
    print(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB)\nresult: {result}")
    return 1 if off or report.mismatches else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m estimate.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--spec", default=DEFAULT_PRESET, help=f"a preset or a JSON file ({DEFAULT_PRESET})")
    add("--measured", type=Path, default=MEASURED, help="what was measured on the RTL")
    add("--build", type=Path, default=Path("build"), help="results to read and to write (build)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
