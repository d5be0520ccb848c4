"""What other commands measured, read from their files: of this specification, or not at all.

A result in the build folder comes before the record that ships. A file of another specification is
not shown, and the page says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analog_models.files import read_json
from analog_models.spec import HardwareSpec

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

    hash_key: the hash that must be the specification's; empty where a result is of none. keys: what
    the page reads.
    """

    name: str
    command: str
    file: str
    keys: tuple[str, ...]
    hash_key: str = "spec_hash"
    record: str = ""


WANTED = {
    "verify": _Wanted(
        *("golden vectors", "make verify", "verify/result.json"),
        ("runs", "mismatches", "head_tokens", "simulator", "seed"),
    ),
    "sim": _Wanted(
        *("co-simulation of real text", "make sim", "sim/run.json"),
        ("runs", "mismatches", "head_tokens", "simulator", "seed"),
    ),
    "validation": _Wanted(
        *("virtual model against the RTL", "make validate", "estimate/validation.json"),
        *(("accuracy", "tokens", "times_faster_full_size", "rows"), ""),
    ),
    "evaluation": _Wanted(
        "perplexity", "make eval", "eval/result.json", ("rows", "models"), "codes_hash"
    ),
    "record": _Wanted(
        *("perplexity of the shipped model", "python -m ml.evaluate --card", ""),
        *(("perplexity", "tokens"), "codes_hash", "evaluation.json"),
    ),
    "sensitivity": _Wanted(
        *("perplexity on other hardware", "make sensitivity", "sensitivity/result.json"),
        *(("rows", "ideal_perplexity", "texts", "tokens"), "codes_hash", "sensitivity.json"),
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
        if not path.is_file():
            continue
        result = read_json(path)
        if wrong := _misfit(wanted, spec, result):
            notes.append(f"{path.parent.name}/{path.name} {wrong}")
            continue
        return Source(wanted.name, wanted.command, path, result, state, "; ".join(notes))
    note = "; ".join(notes) or f"{wanted.command} has not been run here"
    return Source(wanted.name, wanted.command, places[0][0], None, "not run", note)


def _misfit(wanted: _Wanted, spec: HardwareSpec, result: Any) -> str:
    """Why a result cannot be shown; empty if it can."""
    if not isinstance(result, Mapping):
        return f"holds {type(result).__name__}, not an object: run {wanted.command} again"
    try:
        json.dumps(result, allow_nan=False)
    except ValueError:
        return f"has a number that is not finite: run {wanted.command} again"
    missing = [key for key in wanted.keys if key not in result]
    if missing:
        return f"has no {', '.join(missing)}: run {wanted.command} again"
    if wanted.hash_key and result.get(wanted.hash_key) != spec.hashes[wanted.hash_key]:
        found, kind = result.get(wanted.hash_key), wanted.hash_key.replace("_", " ")
        return f"is of {kind} {found}, not {spec.hashes[wanted.hash_key]}"
    return ""
