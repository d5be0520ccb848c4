"""The hardware specification: every constant that RTL, numpy, torch and the estimate share.

A specification is a frozen tree of groups (`spec.geometry.head_dim`, `spec.schedule.score`, ...).
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

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from analog_models.errors import SpecError

__all__ = [
    "Cell",
    "Converter",
    "Geometry",
    "Grid",
    "HardwareSpec",
    "Leakage",
    "Levels",
    "Schedule",
    "load_preset",
    "load_spec",
    "preset_names",
]

DEFAULT_PRESET = "leroux2025"

Count = Annotated[int, Field(gt=0, le=65536)]
MAX_CYCLES = 4096
Cycles = Annotated[int, Field(gt=0, le=MAX_CYCLES)]
Volts = Annotated[float, Field(ge=0, le=10)]


def _unit(unit: str) -> Any:
    return Field(json_schema_extra={"unit": unit})


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Geometry(_Group):
    """Size of one attention head (paper, Methods: 16 sub-tiles of 64 x 64 cells)."""

    head_dim: Count = _unit("cells")
    subtile: Count = _unit("slots")
    subtiles: Count = _unit("sub-tiles")

    @property
    def window(self) -> int:
        """Slots of the whole head: the longest window of tokens, M."""
        return self.subtile * self.subtiles


class Levels(_Group):
    """Levels of the digital codes on both sides of the arrays."""

    q: Annotated[int, Field(ge=2, le=256)] = _unit("levels")
    kv: Annotated[int, Field(ge=2, le=256)] = _unit("levels")
    out_magnitude_bits: Annotated[int, Field(ge=1, le=8)] = _unit("bit")

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


class Cell(_Group):
    """Transfer of one gain cell: charge moved by a full-scale pulse, f(V - v_zero)."""

    v_supply_v: Annotated[float, Field(gt=0, le=10)] = _unit("V")
    v_zero_v: Volts = _unit("V")
    transfer: tuple[tuple[float, ...], ...] = _unit("charge / V^(i+j)")
    linear_gain: float = _unit("charge / V")

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


class Leakage(_Group):
    """Decay of the stored charge with the age of a slot, counted in tokens since its write.

    `per_power`: the deviation from the asymptote decays, so its i-th power decays by
    exp(-i * decay_per_token * age). `whole_term`: the whole charge of a cell decays by
    exp(-decay_per_token * age), the convention of older published vectors.
    """

    decay_per_token: Annotated[float, Field(ge=0, le=1)] = _unit("1 / token")
    asymptote_v: Volts = _unit("V")
    convention: Literal["per_power", "whole_term"] = _unit("")


class Converter(_Group):
    """Charge-to-pulse converters: charge of full scale and width of the longest pulse."""

    s_sat: Annotated[float, Field(gt=0, le=1e9)] = _unit("charge")
    a_sat: Annotated[float, Field(gt=0, le=1e9)] = _unit("charge")
    t_max_ps: Annotated[int, Field(gt=0, le=10**6)] = _unit("ps")


class Grid(_Group):
    """Grids that the behavioural model rounds to, far finer than anything it models.

    They make every sum over cells a sum of integers below 2^53, which float64 adds without error
    in any order: numpy and torch then agree bit for bit, whatever their matrix product does.
    """

    t_ps: Annotated[int, Field(gt=0, le=1000)] = _unit("ps")
    charge_bits: Annotated[int, Field(ge=8, le=32)] = _unit("bit")
    pulse_bits: Annotated[int, Field(ge=0, le=16)] = _unit("bit")

    @property
    def charge(self) -> float:
        """Grid of one cell's charge, in units of f(x)."""
        return 2.0**-self.charge_bits

    @property
    def pulse_ps(self) -> float:
        """Grid of a pulse width weighted by a leakage factor, in ps."""
        return self.t_ps * 2.0**-self.pulse_bits


class Schedule(_Group):
    """Phases of one token in their order, in cycles of the control block's clock.

    `dac_guard`: cycles for which the DACs hold a code before and after its write strobe.
    """

    t_clk_ps: Annotated[int, Field(ge=2, le=10**6)] = _unit("ps")
    dac_guard: Cycles = _unit("cycles")
    write_k: Cycles = _unit("cycles")
    write_v: Cycles = _unit("cycles")
    reset: Cycles = _unit("cycles")
    score: Cycles = _unit("cycles")
    activate: Cycles = _unit("cycles")
    settle: Cycles = _unit("cycles")
    read_out: Cycles = _unit("cycles")

    @property
    def phases(self) -> dict[str, range]:
        """Cycles of each phase, counted from the clock edge that accepts the token."""
        phases, start = {}, 0
        for name in type(self).model_fields:
            if name not in ("t_clk_ps", "dac_guard"):
                phases[name] = range(start, start + getattr(self, name))
                start = phases[name].stop
        return phases

    @property
    def latency(self) -> int:
        """Cycles from the edge that accepts a token to the edge that makes its result valid."""
        return max(phase.stop for phase in self.phases.values())


class HardwareSpec(_Group):
    """One attention head of gain cells with its converters and its control plane."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    geometry: Geometry
    levels: Levels
    cell: Cell
    leakage: Leakage
    converter: Converter
    grid: Grid
    schedule: Schedule
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for name, value, low, high, why in self._bounds():
            if not low <= value <= high:
                raise ValueError(f"{name} = {value}: allowed {low} to {high}, {why}")
        return self

    def _bounds(self) -> list[tuple[str, float, float, float, str]]:
        """Rules across fields: (field, value, lowest, highest, reason)."""
        schedule, converter, levels = self.schedule, self.converter, self.levels
        t_clk = schedule.t_clk_ps
        pulse = math.ceil(converter.t_max_ps / t_clk)
        supply = self.cell.v_supply_v
        write = 2 * schedule.dac_guard + 1
        window = self.geometry.window
        return [
            ("geometry.subtile * geometry.subtiles", window, 2, 65536, "slots of a window"),
            ("cell.v_zero_v", self.cell.v_zero_v, 0, supply, "the supply"),
            ("leakage.asymptote_v", self.leakage.asymptote_v, 0, supply, "the supply"),
            ("schedule.write_k", schedule.write_k, write, MAX_CYCLES, "to fit a guarded strobe"),
            ("schedule.write_v", schedule.write_v, write, MAX_CYCLES, "to fit a guarded strobe"),
            ("schedule.reset", schedule.reset, 2, MAX_CYCLES, "to hold a token there"),
            ("schedule.settle", schedule.settle, 2, MAX_CYCLES, "to start the converters"),
            ("schedule.score", schedule.score, levels.q_max, MAX_CYCLES, "to fit a query pulse"),
            (
                "schedule.activate",
                schedule.activate,
                pulse,
                MAX_CYCLES,
                "to fit converter.t_max_ps",
            ),
            (
                "schedule.read_out",
                schedule.read_out,
                levels.count_max,
                MAX_CYCLES,
                "to fit a count",
            ),
            ("grid.t_ps", self.grid.t_ps, 1, t_clk // 2, "half a clock, or counting is undefined"),
            ("grid.charge_bits", self.grid.charge_bits, 8, self._spare_bits(), "to stay exact"),
        ]

    def _spare_bits(self) -> int:
        """Most `grid.charge_bits` with which all sums of charges stay below 2^53 grid steps."""
        v = max(self.cell.v_supply_v - self.leakage.asymptote_v, self.leakage.asymptote_v)
        term = max(abs(c) * v**i for i, c in enumerate(self.cell_polynomial))
        score = self.geometry.head_dim * self.levels.q_max
        row = self.geometry.subtile * self.converter.t_max_ps / self.grid.pulse_ps
        return 53 - math.ceil(math.log2(max(term, 1e-9) * max(score, row)))

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
        values = self.model_dump(mode="json", exclude={"name"})
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def out_max(self) -> int:
        """Largest magnitude of an output code: every sub-tile at full count."""
        return self.geometry.subtiles * self.levels.count_max

    def replace(self, name: str | None = None, **values: Any) -> "HardwareSpec":
        """Copy with some values changed and validated again, `group__field=value`.

        Raises `SpecError` for an unknown field or a value out of range.
        """
        tree = self.model_dump()
        tree["name"] = name or self.name
        for path, value in values.items():
            group, _, field = path.partition("__")
            if not isinstance(tree.get(group), dict) or field not in tree[group]:
                raise SpecError(f"specification has no field {path.replace('__', '.')}")
            tree[group][field] = value
        changed = _validated(tree, f"specification {tree['name']!r}")
        changed._sources.update(self._sources)
        changed._sources.update({p.replace("__", "."): "changed by the user" for p in values})
        return changed

    def linearised(self) -> "HardwareSpec":
        """The linear intermediate model f(x) = linear_gain * x (paper, Methods: adaptation)."""
        rows = ((0.0,), (self.cell.linear_gain,))
        return self.replace(name=f"{self.name}-linear", cell__transfer=rows)

    def to_tree(self) -> dict[str, Any]:
        """The preset-file form: each value with its unit and its source, ready for JSON."""
        tree: dict[str, Any] = {"name": self.name}
        for group, values in self.model_dump(mode="json", exclude={"name"}).items():
            fields = type(getattr(self, group)).model_fields
            tree[group] = {
                field: {
                    "value": value,
                    "unit": _unit_of(fields[field]),
                    "source": self._sources.get(f"{group}.{field}", ""),
                }
                for field, value in values.items()
            }
        return tree


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
    for group, fields in tree.items():
        if group == "name" or not isinstance(fields, Mapping):
            values[group] = fields
            continue
        values[group] = {}
        for field, quantity in fields.items():
            path = f"{group}.{field}"
            values[group][field] = _value(quantity, group, field, f"{where}: {path}")
            sources[path] = str(quantity.get("source", ""))
    spec = _validated(values, where)
    spec._sources.update(sources)
    return spec


def _value(quantity: Any, group: str, field: str, where: str) -> Any:
    """The value of one preset entry, its unit compared with the one that the field is in."""
    if not isinstance(quantity, Mapping) or "value" not in quantity:
        raise SpecError(f"{where}: needs an object with value, unit and source")
    model = HardwareSpec.model_fields.get(group)
    fields = getattr(model.annotation, "model_fields", {}) if model else {}
    if field in fields and quantity.get("unit") != _unit_of(fields[field]):
        raise SpecError(
            f"{where}: unit is {quantity.get('unit')!r}, needs {_unit_of(fields[field])!r}"
        )
    return quantity["value"]


def _unit_of(field: Any) -> str:
    return field.json_schema_extra["unit"]


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
