"""The estimate as plain text tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.tables import table
from estimate.report.wording import quantity
from estimate.tables import (
    CONSISTENCY,
    DIGITAL,
    GPUS,
    HEADS,
    PEERS,
    PUBLISHED,
    SYSTEM,
    Cell,
    Column,
    plain,
)

__all__ = ["show"]


def show(tree: Mapping[str, Any]) -> str:
    """All tables of `Estimate.to_tree`."""
    return "\n\n".join(_tables(tree))


def _tables(tree: Mapping[str, Any]) -> Iterator[str]:
    heads = [{"name": name, **head} for name, head in tree["heads"].items()]
    yield f"one token and head, window full, activity of real text:\n{plain(HEADS, heads)}"
    parts = heads[0]["energy_j"]["synthesis"]["parts"]
    energies = [[part["name"], quantity(part["value"], "J")] for part in parts]
    yield table([f"energy, {heads[0]['name']}", ""], energies)
    yield plain(PUBLISHED, tree["published"])
    remarks = "\n".join(f"  {item['name']}: {item['remark']}" for item in tree["consistency"])
    yield f"{plain(CONSISTENCY, tree['consistency'])}\n{remarks}"
    yield plain(DIGITAL, [{"name": name, **of} for name, of in tree["digital"].items()])
    yield plain(GPUS, tree["gpus"])
    for name, systems in tree["systems"].items():
        columns = [*_asked(with_schedule=name == "schedules"), *SYSTEM]
        title = f"whole models, by {name} (schedule {systems[0]['schedule']})"
        yield f"{title}:\n{plain(columns, systems)}"
    yield plain(PEERS, tree["peers"])


def _asked(with_schedule: bool) -> list[Column]:
    """What is asked of a whole model."""

    def system(row: Mapping[str, Any]) -> Cell:
        schedule = f", {row['schedule']}" if with_schedule else ""
        return Cell(f"{row['model']}, {row['engine']}{schedule}", "")

    counts = ("length", "window", "batch")
    asked = [Column(n, None, lambda row, n=n: Cell(row[n], "")) for n in counts]
    return [Column("model, engine", None, system), *asked]
