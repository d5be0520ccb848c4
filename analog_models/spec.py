"""The hardware specification: every constant that RTL, numpy, torch and the estimate share.

A specification is a frozen tree of groups (`spec.geometry.head_dim`, `spec.clock.t_clk_ps`, ...).
In a preset file each value stands with its unit and its source. `HardwareSpec.hash` identifies the
values, not the wording, and travels with every artefact that depends on them.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from analog_models.errors import SpecError
from analog_models.fields import Bound, Count, Group, Volts, unit, unit_of
from analog_models.schedule import Needs, Schedule, Timing, schedule_hazards

__all__ = [
    "Cell",
    "Clock",
    "Converter",
    "Geometry",
    "Grid",
    "HardwareSpec",
    "Leakage",
    "Levels",
    "Schedule",
    "Timing",
    "load_preset",
    "load_spec",
    "preset_names",
]

DEFAULT_PRESET = "leroux2025"


class Geometry(Group):
    """Size of one attention head (paper, Methods: 16 sub-tiles of 64 x 64 cells).

    `array_rows`: most cells on a line of an array. A longer head dimension takes several K arrays
    per sub-tile, whose charges add on the columns, and as many V arrays side by side.
    """

    head_dim: Count = unit("cells")
    array_rows: Count = unit("cells")
    subtile: Count = unit("slots")
    subtiles: Count = unit("sub-tiles")

    @property
    def window(self) -> int:
        """Slots of the whole head: the longest window of tokens, M."""
        return self.subtile * self.subtiles

    @property
    def arrays(self) -> int:
        """K arrays of one sub-tile, and V arrays."""
        return -(-self.head_dim // self.array_rows)


class Levels(Group):
    """Levels of the digital codes on both sides of the arrays."""

    q: Annotated[int, Field(ge=2, le=256)] = unit("levels")
    kv: Annotated[int, Field(ge=2, le=256)] = unit("levels")
    out_magnitude_bits: Annotated[int, Field(ge=1, le=8)] = unit("bit")

    @property
    def q_max(self) -> int:
        """Largest query code; a pulse of this code lasts `q_max` clock cycles."""
        return self.q - 1

    @property
    def kv_max(self) -> int:
        """Largest key and value code."""
        return self.kv - 1

    @property
    def count_max(self) -> int:
        """Largest magnitude that a pulse counter reports."""
        return (1 << self.out_magnitude_bits) - 1


class Cell(Group):
    """Transfer of one gain cell: charge moved by a full-scale pulse, f(V - v_zero)."""

    v_supply_v: Annotated[float, Field(gt=0, le=10)] = unit("V")
    v_zero_v: Volts = unit("V")
    transfer: tuple[tuple[float, ...], ...] = unit("charge / V^(i+j)")
    linear_gain: float = unit("charge / V")

    @field_validator("transfer")
    @classmethod
    def _has_rows(cls, rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        if not 1 <= len(rows) <= 8 or not all(rows):
            raise ValueError("needs 1 to 8 rows of at least one coefficient each")
        return rows

    @property
    def polynomial(self) -> tuple[float, ...]:
        """Coefficients c_i of f(x) = sum c_i x^i, x = V - v_zero in volts."""
        powers = range(max(len(row) for row in self.transfer))
        supply = [self.v_supply_v**j for j in powers]
        return tuple(
            math.fsum(c * s for c, s in zip(row, supply, strict=False)) for row in self.transfer
        )


class Leakage(Group):
    """Decay of the stored charge with the age of a slot, counted in tokens since its write.

    `per_power`: the deviation from the asymptote decays, so its i-th power decays by
    exp(-i * decay_per_token * age). `whole_term`: the whole charge of a cell decays by
    exp(-decay_per_token * age), the convention of older published vectors.
    """

    decay_per_token: Annotated[float, Field(ge=0, le=1)] = unit("1 / token")
    asymptote_v: Volts = unit("V")
    convention: Literal["per_power", "whole_term"] = unit("")


class Converter(Group):
    """Charge-to-pulse converters: charge of full scale and width of the longest pulse."""

    s_sat: Annotated[float, Field(gt=0, le=1e9)] = unit("charge")
    a_sat: Annotated[float, Field(gt=0, le=1e9)] = unit("charge")
    t_max_ps: Annotated[int, Field(gt=0, le=10**6)] = unit("ps")


class Grid(Group):
    """Grids that the behavioural model rounds to, far finer than anything it models.

    They make every sum over cells a sum of integers below 2^53, which float64 adds without error
    in any order: numpy and torch then agree bit for bit, whatever their matrix product does.
    """

    t_ps: Annotated[int, Field(gt=0, le=1000)] = unit("ps")
    charge_bits: Annotated[int, Field(ge=8, le=32)] = unit("bit")
    pulse_bits: Annotated[int, Field(ge=0, le=16)] = unit("bit")

    @property
    def charge(self) -> float:
        """Grid of one cell's charge, in units of f(x)."""
        return 2.0**-self.charge_bits

    @property
    def pulse_ps(self) -> float:
        """Grid of a pulse width weighted by a leakage factor, in ps."""
        return self.t_ps * 2.0**-self.pulse_bits


class Clock(Group):
    """The clock of the control block; output pulses are counted at its edges."""

    t_clk_ps: Annotated[int, Field(ge=2, le=10**6)] = unit("ps")


class HardwareSpec(Group):
    """One attention head of gain cells with its converters and its control plane."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    geometry: Geometry
    levels: Levels
    cell: Cell
    leakage: Leakage
    converter: Converter
    grid: Grid
    clock: Clock
    timing: Timing
    schedules: Annotated[dict[str, Schedule], Field(min_length=1, max_length=16)]
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for name, value, low, high, why in self._bounds():
            if not low <= value <= high:
                raise ValueError(f"{name} = {value}: allowed {low} to {high}, {why}")
        if self.geometry.head_dim % self.geometry.arrays:
            raise ValueError(
                f"geometry.head_dim = {self.geometry.head_dim}: does not fill "
                f"{self.geometry.arrays} arrays of geometry.array_rows = {self.geometry.array_rows}"
            )
        needs = Needs(self.levels.q_max, self.pulse_cycles, self.levels.count_max)
        for name, schedule in self.schedules.items():
            if hazard := next(schedule_hazards(name, schedule, self.timing, needs), None):
                raise ValueError(hazard)
        return self

    def _bounds(self) -> list[Bound]:
        """Rules across fields."""
        supply = self.cell.v_supply_v
        window = self.geometry.window
        half = self.clock.t_clk_ps // 2
        return [
            ("geometry.subtile * geometry.subtiles", window, 2, 65536, "slots of a window"),
            ("cell.v_zero_v", self.cell.v_zero_v, 0, supply, "the supply"),
            ("leakage.asymptote_v", self.leakage.asymptote_v, 0, supply, "the supply"),
            ("grid.t_ps", self.grid.t_ps, 1, half, "half a clock, or counting is undefined"),
            ("grid.charge_bits", self.grid.charge_bits, 8, self._spare_bits(), "to stay exact"),
        ]

    @property
    def pulse_cycles(self) -> int:
        """Clock cycles that the longest converter pulse takes."""
        return math.ceil(self.converter.t_max_ps / self.clock.t_clk_ps)

    def _spare_bits(self) -> int:
        """Most `grid.charge_bits` with which all sums of charges stay below 2^53 grid steps."""
        v = max(self.cell.v_supply_v - self.leakage.asymptote_v, self.leakage.asymptote_v)
        cell = sum(abs(c) * v**i for i, c in enumerate(self.cell_polynomial))
        score = self.geometry.head_dim * self.levels.q_max
        row = self.geometry.subtile * self.converter.t_max_ps / self.grid.pulse_ps
        return 53 - math.ceil(math.log2(max(cell, 1e-9) * max(score, row)))

    @property
    def kv_step_v(self) -> float:
        """Volts between two neighbouring key or value levels; level 0 is 0 V."""
        return self.cell.v_supply_v / self.levels.kv_max

    @property
    def cell_polynomial(self) -> tuple[float, ...]:
        """Coefficients of the cell's transfer in powers of V - asymptote, which decay."""
        shift = self.leakage.asymptote_v - self.cell.v_zero_v
        c = self.cell.polynomial
        return tuple(
            math.fsum(c[n] * math.comb(n, i) * shift ** (n - i) for n in range(i, len(c)))
            for i in range(len(c))
        )

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 over all values (not the name, not the sources)."""
        return self._hash({"name"})

    @property
    def codes_hash(self) -> str:
        """The same over the values that decide output codes: all but `timing` and `schedules`.

        Golden vectors and adapted checkpoints hold for every specification with this hash.
        """
        return self._hash({"name", "timing", "schedules"})

    @property
    def hashes(self) -> dict[str, str]:
        """Both, under the names that artefacts carry them by."""
        return {"spec_hash": self.hash, "codes_hash": self.codes_hash}

    def _hash(self, excluded: set[str]) -> str:
        values = self.model_dump(mode="json", exclude=excluded)
        if "schedules" in values:
            values["schedules"] = list(values["schedules"].items())  # their order counts
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def schedule(self) -> Schedule:
        """The first of the schedules: the default one."""
        return next(iter(self.schedules.values()))

    @property
    def out_max(self) -> int:
        """Largest magnitude of an output code: every sub-tile at full count."""
        return self.geometry.subtiles * self.levels.count_max

    def replace(self, name: str | None = None, **values: Any) -> "HardwareSpec":
        """Copy with some values changed and validated again, `group__field=value`.

        The schedules are replaced as a whole, `schedules={name: Schedule, ...}`, or in one number,
        `schedules__NAME__FIELD=value`. Raises `SpecError` for an unknown field or a value out of
        range.
        """
        tree = self.model_dump()
        tree["name"] = name or self.name
        for path, value in values.items():
            *groups, field = path.split("__")
            node = tree
            for group in groups:
                node = node.get(group) if isinstance(node, dict) else None
            whole = not groups and field != "schedules"
            if not isinstance(node, dict) or field not in node or whole:
                raise SpecError(f"specification has no field {path.replace('__', '.')}")
            node[field] = value
        changed = _validated(tree, f"specification {tree['name']!r}")
        changed._sources.update(self._sources)
        changed._sources.update({p.replace("__", "."): "changed by the user" for p in values})
        return changed

    def schedule_number(self, name: str) -> int:
        """Number by which the hardware knows a schedule. Raises `SpecError` if there is none."""
        if name not in self.schedules:
            raise SpecError(f"no schedule {name!r}: there are {', '.join(self.schedules)}")
        return list(self.schedules).index(name)

    def linearised(self) -> "HardwareSpec":
        """The linear intermediate model f(x) = linear_gain * x (paper, Methods: adaptation)."""
        rows = ((0.0,), (self.cell.linear_gain,))
        return self.replace(name=f"{self.name}-linear", cell__transfer=rows)

    def to_tree(self) -> dict[str, Any]:
        """The preset-file form: each value with its unit and its source, ready for JSON."""
        tree: dict[str, Any] = {"name": self.name}
        for name in type(self).model_fields:
            part = getattr(self, name)
            if isinstance(part, dict):
                tree[name] = {
                    key: self._group(group, f"{name}.{key}") for key, group in part.items()
                }
            elif isinstance(part, Group):
                tree[name] = self._group(part, name)
        return tree

    def _group(self, group: Group, path: str) -> dict[str, Any]:
        fields = type(group).model_fields
        return {
            field: {
                "value": value,
                "unit": unit_of(fields[field]),
                "source": self._sources.get(f"{path}.{field}", ""),
            }
            for field, value in group.model_dump(mode="json").items()
        }


def preset_names() -> list[str]:
    """Names of the presets that ship with gaincell."""
    files = (resources.files("analog_models") / "presets").iterdir()
    return sorted(Path(f.name).stem for f in files if f.name.endswith(".json"))


def load_preset(name: str = DEFAULT_PRESET) -> HardwareSpec:
    """Load a shipped preset. Raises `SpecError` if there is none of that name."""
    if name not in preset_names():
        raise SpecError(f"no preset {name!r}: there are {', '.join(preset_names())}")
    text = (resources.files("analog_models") / "presets" / f"{name}.json").read_text()
    return _parse(text, f"preset {name!r}")


def load_spec(path: str | Path) -> HardwareSpec:
    """Load a specification from a JSON file in the form of the presets. Raises `SpecError`."""
    try:
        return _parse(Path(path).read_text(), str(path))
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text") from error


def _parse(text: str, where: str) -> HardwareSpec:
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{where}: not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise SpecError(f"{where}: needs an object of groups, has {type(tree).__name__}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, part in tree.items():
        if name == "schedules" and isinstance(part, Mapping):
            values[name] = {
                key: _values(group, Schedule, f"{name}.{key}", where, sources)
                for key, group in part.items()
            }
        else:
            model = HardwareSpec.model_fields.get(name)
            kind = model.annotation if model else None
            values[name] = _values(part, kind, name, where, sources)
    spec = _validated(values, where)
    spec._sources.update(sources)
    return spec


def _values(group: Any, model: Any, path: str, where: str, sources: dict[str, str]) -> Any:
    """The bare values of one group of a preset, their units compared; notes their sources."""
    if not isinstance(group, Mapping):
        return group
    known = getattr(model, "model_fields", {})
    values = {}
    for field, quantity in group.items():
        at = f"{where}: {path}.{field}"
        if not isinstance(quantity, Mapping) or "value" not in quantity:
            raise SpecError(f"{at}: needs an object with value, unit and source")
        if field in known and quantity.get("unit") != unit_of(known[field]):
            raise SpecError(
                f"{at}: unit is {quantity.get('unit')!r}, needs {unit_of(known[field])!r}"
            )
        values[field] = quantity["value"]
        sources[f"{path}.{field}"] = str(quantity.get("source", ""))
    return values


def _validated(tree: Mapping[str, Any], where: str) -> HardwareSpec:
    try:
        return HardwareSpec.model_validate(tree)
    except ValidationError as error:
        raise SpecError(f"{where}: {'; '.join(map(_sentence, error.errors()))}") from error


def _sentence(error: Any) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    given = "" if error["type"] == "missing" else f" = {error['input']!r}"
    return f"{'.'.join(map(str, error['loc']))}{given}: {message}"
