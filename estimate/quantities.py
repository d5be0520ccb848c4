"""Tables of quantities in JSON: every number with its source, in SI units without prefixes.

The unit is the last word of a name: `area_m2`, `energy_j`, `wire_f_per_m`. A name without such an
ending is a plain number.
"""

import math
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from analog_models.files import read_json
from estimate.errors import EstimateError

__all__ = ["Quantity", "Table", "load_table", "preset_path"]


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
            known = ", ".join(self.quantities)
            raise UnknownQuantity(f"{self.name} has no quantity {key!r}: it has {known}") from None

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


def load_table(path: Path) -> Table:
    """Read groups of quantities, `{group: {name: {value, source}}}`.

    Raises `EstimateError` for a quantity that is not positive and finite or has no source.
    """
    quantities = {}
    for group, fields in read_json(path).items():
        for field, entry in fields.items():
            name = f"{group}.{field}"
            quantities[name] = _checked(f"{path}: {name}", _quantity(f"{path}: {name}", entry))
    return Table(path.stem, quantities)


def preset_path(name: str) -> Path:
    """Where a table that ships with the estimate lies."""
    return Path(str(resources.files("estimate") / "presets" / f"{name}.json"))


def _quantity(where: str, entry: Any) -> Quantity:
    if not isinstance(entry, Mapping) or not {"value", "source"} <= set(entry):
        raise EstimateError(f"{where}: needs an object with value and source")
    return Quantity(entry["value"], str(entry["source"]), str(entry.get("calibrated_on", "")))


def _checked(where: str, quantity: Quantity) -> Quantity:
    value = quantity.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EstimateError(f"{where} = {value!r}: needs a number")
    if value <= 0:
        raise EstimateError(f"{where} = {value}: allowed above 0")
    if not quantity.source:
        raise EstimateError(f"{where}: needs a source")
    return Quantity(value, quantity.source, quantity.calibrated_on)
