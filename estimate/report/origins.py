"""Where every number of the page comes from: commits, versions, seeds, hashes."""

from collections.abc import Iterator, Mapping
from typing import Any

from analog_models.spec import HardwareSpec
from estimate.report.sources import Source
from estimate.report.table import View
from estimate.report.wording import EMPTY, short_hash

__all__ = ["origin_tables", "seeds"]

Tree = Mapping[str, Any]
STATES = {"measured here": "here", "shipped": "shipped"}


def seeds(spec: HardwareSpec, sources: Mapping[str, Source]) -> dict[str, int]:
    """Every seed that a number of the page depends on."""
    found = {"device of the specification": spec.imperfections.device_seed}
    for name in ("verify", "sim", "sensitivity"):
        if (result := sources[name].result) and "seed" in result:
            found[f"{sources[name].name} ({sources[name].command})"] = result["seed"]
    if record := sources["record"].result:
        found["training of the teacher"] = record["teacher"]["settings"]["seed"]
        for stage, settings in record["adapted"]["settings"].items():
            found[f"adaptation, {stage}"] = settings["seed"]
    return found


def origin_tables(
    spec: HardwareSpec, sources: Mapping[str, Source], measured: Tree, report: Tree
) -> Iterator[View]:
    """What each part is from, and the seeds; report: provenance of the page."""
    rows = [_row("this report", "make report", "here", report)]
    for name, of in measured.items():
        rows.append(_row(f"cost model's input: {name}", "make measure", "shipped", of))
    for source in sources.values():
        if source.result is not None:
            state = STATES[source.state]
            rows.append(_row(source.name, source.command, state, source.result))
    header = ["part", "command", "run", "commit", "time, UTC", "versions"]
    yield View("origins", "What was run, where and with what", header, rows)
    numbers = [[name, str(seed)] for name, seed in seeds(spec, sources).items()]
    yield View("seeds", "Seeds", ["what", "seed"], numbers)


def _row(name: str, command: str, state: str, of: Tree) -> list[str]:
    git = of.get("git") or {}
    commit = short_hash(git.get("commit", "")) or EMPTY
    dirty = " with changes" if git.get("dirty") else ""
    versions = [f"{package} {v}" for package, v in of.get("packages", {}).items()]
    versions += [of["simulator"]] if "simulator" in of else []
    versions += [f"Python {of['python']}"] if "python" in of else []
    time = of.get("time_utc", EMPTY).replace("T", " ").removesuffix("+00:00")
    return [name, command, state, commit + dirty, time, ", ".join(versions)]
