"""Tables of quantities in JSON: every number with its source, in SI units without prefixes.

The unit is the last word of a name: `area_m2`, `energy_j`, `wire_f_per_m`. A name without such an
ending is a plain number.
"""

import math
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import readable, shown
from common.files import read_json
from estimate.errors import EstimateError

__all__ = ["Quantity", "ShippedTable", "Table", "load_table", "preset_path"]

LEAST, MOST = 1e-24, 1e24  # SI units without prefixes: no circuit is beyond
ENTRIES = ("value", "source", "calibrated_on")


class UnknownQuantity(EstimateError, KeyError):
    """A name that a table does not have."""

    __str__ = EstimateError.__str__  # a `KeyError` would show it in quotes


class Quantity(NamedTuple):
    """A number and where it comes from.

    calibrated_on: the published figure that it was chosen to give; empty for all others.
    """

    value: float
    source: str
    calibrated_on: str = ""


class Table(Mapping[str, float]):
    """Quantities by name, `group.name`; as a mapping it gives their values.

    Raises `EstimateError`, which is a `KeyError` here, for a name that it does not have, and from
    `with_values` for a value that is not finite and positive.
    """

    def __init__(self, name: str, quantities: Mapping[str, Quantity]) -> None:
        self.name = name
        self.quantities = dict(quantities)

    def __getitem__(self, key: str) -> float:
        try:
            return self.quantities[key].value
        except KeyError:
            group = key.partition(".")[0]
            known = [name for name in self.quantities if name.startswith(f"{group}.")]
            known = known or sorted({name.partition(".")[0] for name in self.quantities})
            has = ", ".join(known)
            raise UnknownQuantity(f"{self.name} has no quantity {key!r}: it has {has}") from None

    def __contains__(self, key: object) -> bool:
        return key in self.quantities

    def __iter__(self) -> Iterator[str]:
        return iter(self.quantities)

    def __len__(self) -> int:
        return len(self.quantities)

    def with_values(self, values: Mapping[str, float], calibrated_on: str = "") -> "Table":
        """A copy with some values changed, by the user or by a calibration."""
        changed = dict(self.quantities)
        for key, value in values.items():
            old = changed.get(key) or Quantity(self[key], "")
            source = old.source if calibrated_on else "changed by the user"
            changed[key] = _checked(f"{self.name}: {key}", Quantity(value, source, calibrated_on))
        return Table(self.name, changed)


class ShippedTable(Table):
    """A table that ships with the estimate, by its name; read when it is first needed."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def quantities(self) -> dict[str, Quantity]:  # type: ignore[override]
        return load_table(preset_path(self.name)).quantities


def load_table(path: Path) -> Table:
    """Read groups of quantities, `{group: {name: {value, source}}}`.

    Raises `ArtefactError` for a file that is missing or not JSON, `EstimateError` for a quantity
    that is not positive and finite or has no source.
    """
    quantities = {}
    for group, fields in _object(str(path), read_json(path)).items():
        for field, entry in _object(f"{path}: {readable(group)}", fields).items():
            where = f"{path}: {readable(group)}.{readable(field)}"
            if not (re.fullmatch(r"\w+", group) and re.fullmatch(r"\w+", field)):
                raise EstimateError(f"{where}: needs a name of letters, digits and _")
            quantities[f"{group}.{field}"] = _checked(where, _quantity(where, entry))
    return Table(path.stem, quantities)


def _object(where: str, tree: Any) -> Mapping[str, Any]:
    if not isinstance(tree, Mapping):
        raise EstimateError(f"{where}: needs an object, has {type(tree).__name__}")
    return tree


def preset_path(name: str) -> Path:
    """Where a table that ships with the estimate lies."""
    return Path(str(resources.files("estimate") / "presets" / f"{name}.json"))


def _quantity(where: str, entry: Any) -> Quantity:
    if not isinstance(entry, Mapping) or not {"value", "source"} <= set(entry):
        raise EstimateError(f"{where}: needs an object with value and source")
    if unknown := [key for key in entry if key not in ENTRIES]:
        raise EstimateError(f"{where}: has {shown(unknown[0])}, allowed {', '.join(ENTRIES)}")
    for key in ("source", "calibrated_on"):
        if not isinstance(entry.get(key, ""), str):
            raise EstimateError(f"{where}: {key} is {shown(entry[key])}, needs text")
    return Quantity(entry["value"], entry["source"], entry.get("calibrated_on", ""))


def _checked(where: str, quantity: Quantity) -> Quantity:
    value = quantity.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EstimateError(f"{where} = {shown(value)}: needs a number")
    if value <= 0:
        raise EstimateError(f"{where} = {value}: allowed above 0")
    if not LEAST <= value <= MOST:
        raise EstimateError(f"{where} = {value}: allowed {LEAST:g} to {MOST:g}")
    if not quantity.source:
        raise EstimateError(f"{where}: needs a source")
    return quantity
