"""What other commands measured, read from their files: of this specification, or not at all.

A result in the build folder comes before the record that ships. A file of another specification is
not shown, and the page says so.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analog_models.spec import HardwareSpec
from common.errors import ArtefactError, shown
from common.files import read_json
from common.records import Record
from estimate.report.results import Checked, Evaluation, ModelRecord, Sensitivity, Validation

__all__ = ["RECORDS", "Source", "find_sources"]

RECORDS = Path(__file__).parents[2] / "ml" / "checkpoints"
"""Records of the shipped model, written when it was made."""


@dataclass(frozen=True)
class Source:
    """Result of one command.

    command: what makes it. result: content of the file; None if there is none to show. state:
    `measured here`, `shipped`, or `not run`. note: why there is none, or what was passed over.
    """

    name: str
    command: str
    path: Path
    result: Mapping[str, Any] | None
    state: str
    note: str = ""


@dataclass(frozen=True)
class _Wanted:
    """A result to look for: of the build folder, and perhaps one that ships.

    content: what the page reads of it; with `spec_hash` or `codes_hash`, which must be the
    specification's.
    """

    name: str
    command: str
    file: str
    content: type[Record]
    record: str = ""


WANTED = {
    "verify": _Wanted("golden vectors", "make verify", "verify/result.json", Checked),
    "sim": _Wanted("co-simulation of real text", "make sim", "sim/run.json", Checked),
    "validation": _Wanted(
        "virtual model against the RTL", "make validate", "estimate/validation.json", Validation
    ),
    "evaluation": _Wanted("perplexity", "make eval", "eval/result.json", Evaluation),
    "record": _Wanted(
        *("perplexity of the shipped model", "python -m ml.evaluate --card", ""),
        *(ModelRecord, "evaluation.json"),
    ),
    "sensitivity": _Wanted(
        *("perplexity on other hardware", "make sensitivity", "sensitivity/result.json"),
        *(Sensitivity, "sensitivity.json"),
    ),
}


def find_sources(spec: HardwareSpec, build: Path, records: Path = RECORDS) -> dict[str, Source]:
    """All that was looked for, by name. Raises `ArtefactError` for a file that is not JSON."""
    return {name: _find(wanted, spec, build, records) for name, wanted in WANTED.items()}


def _find(wanted: _Wanted, spec: HardwareSpec, build: Path, records: Path) -> Source:
    places = [(build / wanted.file, "measured here")] if wanted.file else []
    places += [(records / wanted.record, "shipped")] if wanted.record else []
    notes = []
    for path, state in places:
        if not os.path.lexists(path):
            continue
        result = read_json(path)
        if wrong := _misfit(wanted, spec, result, f"{path.parent.name}/{path.name}"):
            notes.append(wrong)
            continue
        return Source(wanted.name, wanted.command, path, result, state, "; ".join(notes))
    note = "; ".join(notes) or f"{wanted.command} has not been run here"
    return Source(wanted.name, wanted.command, places[0][0], None, "not run", note)


def _misfit(wanted: _Wanted, spec: HardwareSpec, result: Any, where: str) -> str:
    """Why a result cannot be shown; empty if it can."""
    try:
        content = wanted.content.of(result, where)
    except ArtefactError as error:
        return f"{error}: run {wanted.command} again"
    for key, own in spec.hashes.items():
        if (found := getattr(content, key, own)) != own:
            return f"{where} is of {key.replace('_', ' ')} {shown(found)}, not {own}"
    return ""
