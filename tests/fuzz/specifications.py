"""Readers of specifications and overlays."""

import json
from pathlib import Path

from analog_models.spec import HardwareSpec, load_preset, load_spec, overlaid
from common.files import write_json
from tests.fuzz.mutations import damaged_json
from tests.fuzz.reading import Reader

SPEC, OVERLAY = "spec.json", "overlay.json"


def _short_tree() -> dict:
    """A specification with one schedule and few imperfections, so that a failure can be read."""
    tree = load_preset().to_tree()
    tree["schedules"] = {"pipelined": tree["schedules"]["pipelined"]}
    tree["imperfections"] = {"stuck_level": tree["imperfections"]["stuck_level"]}
    for group in (*tree.values(), *tree["schedules"].values()):
        for quantity in group.values() if isinstance(group, dict) else ():
            if "source" in quantity:
                quantity["source"] = "x"
    return tree


TREE = _short_tree()
CHANGES = {
    "name": "mine",
    "imperfections": {
        "temperature_k": {"value": 310.0, "unit": "K", "source": "x"},
        "stuck_level": {"value": 1, "unit": "level", "source": "x"},
    },
    "schedules": {"overlapped": {"period": {"value": 60, "unit": "cycles", "source": "x"}}},
}


def _same_when_saved(spec: HardwareSpec, folder: Path) -> None:
    again = load_spec(write_json(folder / SPEC, spec.to_tree()))
    assert again == spec and again.hash == spec.hash
    assert again.to_tree() == spec.to_tree()
    assert spec.codes_hash == again.codes_hash and spec.out_max > 0


READERS = [
    Reader(
        "specification",
        {SPEC: json.dumps(TREE).encode()},
        damaged_json(TREE).map(lambda content: {SPEC: content}),
        lambda folder: load_spec(folder / SPEC),
        _same_when_saved,
    ),
    Reader(
        "overlay",
        {OVERLAY: json.dumps(CHANGES).encode()},
        damaged_json(CHANGES).map(lambda content: {OVERLAY: content}),
        lambda folder: overlaid(load_preset(), str(folder / OVERLAY)),
        _same_when_saved,
    ),
]
