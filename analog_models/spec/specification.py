"""The hardware specification: every constant that RTL, numpy, torch and the estimate share.

A specification is a frozen tree of groups (`spec.geometry.head_dim`, `spec.clock.t_clk_ps`, ...).
In a preset file each value stands with its unit and its source. `HardwareSpec.hash` identifies the
values, not the wording, and travels with every artefact that depends on them.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from analog_models.spec.groups import Cell, Clock, Converter, Geometry, Grid, Leakage, Levels
from analog_models.spec.imperfections import Imperfections
from analog_models.spec.schedule import Needs, Schedule, Timing, schedule_hazards
from common.errors import ArtefactError, SpecError, readable, shown
from common.fields import MAX_SLOTS, Bound, Group, sentences, unit_of
from common.files import read_text
from common.strict_json import parse_json

__all__ = [
    "DEFAULT_PRESET",
    "HardwareSpec",
    "find_spec",
    "load_preset",
    "load_spec",
    "overlaid",
    "overlay_names",
    "parse_spec",
    "preset_names",
]

DEFAULT_PRESET = "leroux2025"
QUANTITY = {"value", "unit", "source"}

ScheduleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=40)]


class HardwareSpec(Group):
    """One attention head of gain cells with its converters and its control plane."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=100)]
    geometry: Geometry
    levels: Levels
    cell: Cell
    leakage: Leakage
    converter: Converter
    grid: Grid
    clock: Clock
    timing: Timing
    schedules: Annotated[dict[ScheduleName, Schedule], Field(min_length=1, max_length=16)]
    imperfections: Imperfections = Imperfections()
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

    def __hash__(self) -> int:
        # `schedules` cannot be hashed. A part will do: equality compares everything.
        return hash((self.name, self.geometry, self.levels, self.cell, self.leakage))

    def _bounds(self) -> list[Bound]:
        """Rules across fields."""
        supply = self.cell.v_supply_v
        window = self.geometry.window
        half = self.clock.t_clk_ps // 2
        return [
            ("geometry.subtile * geometry.subtiles", window, 2, MAX_SLOTS, "slots of a window"),
            ("cell.v_zero_v", self.cell.v_zero_v, 0, supply, "the supply"),
            ("leakage.asymptote_v", self.leakage.asymptote_v, 0, supply, "the supply"),
            ("grid.t_ps", self.grid.t_ps, 1, half, "half a clock, or counting is undefined"),
            (
                "imperfections.stuck_level",
                self.imperfections.stuck_level,
                0,
                self.levels.kv_max,
                "the levels of a cell",
            ),
            ("grid.charge_bits", self.grid.charge_bits, 8, self._spare_bits(), "to stay exact"),
        ]

    @property
    def pulse_cycles(self) -> int:
        """Clock cycles that the longest converter pulse takes."""
        return math.ceil(self.converter.t_max_ps / self.clock.t_clk_ps)

    def _spare_bits(self) -> int:
        """Most `grid.charge_bits` with which all sums of charges stay below 2^53 grid steps."""
        v = max(self.cell.v_supply_v - self.leakage.asymptote_v, self.leakage.asymptote_v)
        v += self.imperfections.reach_v
        cell = sum(abs(c) * v**i for i, c in enumerate(self.cell_polynomial))
        cell *= self.imperfections.reach_gain
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
    def cell_constant(self) -> float:
        """The charge of a cell at the asymptote, on the grid of charges."""
        return round(self.cell_polynomial[0] / self.grid.charge) * self.grid.charge

    @property
    def decay_per_token(self) -> float:
        """Leakage at the temperature of the cells; that in `leakage` is at the reference."""
        return self.leakage.decay_per_token * self.imperfections.leakage_factor

    @property
    def ideal(self) -> "HardwareSpec":
        """The same specification without imperfections."""
        copy = self.model_copy(update={"imperfections": Imperfections()})
        kept = {k: v for k, v in self._sources.items() if not k.startswith("imperfections.")}
        copy._sources = kept
        return copy

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 over all values (not the name, not the sources)."""
        return self._hash({"name"})

    @property
    def codes_hash(self) -> str:
        """The same over the values that decide output codes: all but `timing` and `schedules`.

        Golden vectors and adapted checkpoints hold for every specification with this hash. They
        are made without imperfections by definition, so these do not count: a model that was
        adapted to the ideal head is what one evaluates on an imperfect one.
        """
        return self._hash({"name", "timing", "schedules", "imperfections"})

    @property
    def hashes(self) -> dict[str, str]:
        """Both, under the names that artefacts carry them by."""
        return {"spec_hash": self.hash, "codes_hash": self.codes_hash}

    def _hash(self, excluded: set[str]) -> str:
        if self.imperfections == Imperfections():  # as hashed before there were any
            excluded = excluded | {"imperfections"}
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
        sources = {path.replace("__", "."): "changed by the user" for path in values}
        return _validated(tree, f"specification {tree['name']!r}", self._sources | sources)

    def schedule_number(self, name: str) -> int:
        """Number by which the hardware knows a schedule. Raises `SpecError` if there is none."""
        if name not in self.schedules:
            raise SpecError(f"no schedule {shown(name)}: there are {', '.join(self.schedules)}")
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
    return _names("presets")


def _names(folder: str) -> list[str]:
    files = (resources.files("analog_models.spec") / folder).iterdir()
    return sorted(Path(f.name).stem for f in files if f.name.endswith(".json"))


def _shipped(folder: str, name: str) -> str:
    return (resources.files("analog_models.spec") / folder / f"{name}.json").read_text("utf-8")


def load_preset(name: str = DEFAULT_PRESET) -> HardwareSpec:
    """Load a shipped preset. Raises `SpecError` if there is none of that name."""
    if name not in preset_names():
        raise SpecError(f"no preset {shown(name)}: there are {', '.join(preset_names())}")
    return parse_spec(_shipped("presets", name), f"preset {name!r}")


def load_spec(path: str | Path) -> HardwareSpec:
    """Load a specification from a JSON file in the form of the presets. Raises `SpecError`."""
    return parse_spec(_text(path), str(path))


def find_spec(name: str | Path) -> HardwareSpec:
    """A preset by its name, or a specification by the path of its JSON file. Raises `SpecError`."""
    if str(name) in preset_names():
        return load_preset(str(name))
    if not os.path.lexists(name):
        raise SpecError(f"{name}: no such file, and no preset: {', '.join(preset_names())}")
    return load_spec(name)


def _text(path: str | Path) -> str:
    try:
        return read_text(Path(path))
    except ArtefactError as error:
        raise SpecError(str(error)) from error


def overlay_names() -> list[str]:
    """Names of the overlays that ship with gaincell."""
    return _names("overlays")


def overlaid(spec: HardwareSpec, overlay: str) -> HardwareSpec:
    """`spec` with the values of an overlay: a shipped one by its name, or a JSON file by its path.

    An overlay has the form of a preset, but only the groups and fields that it changes. Its name is
    appended to that of `spec`. Raises `SpecError` if there is none or if its values do not fit.
    """
    if overlay in overlay_names():
        text, where = _shipped("overlays", overlay), f"overlay {overlay!r}"
    elif overlay.endswith(".json"):
        text, where = _text(overlay), overlay
    else:
        names = ", ".join(overlay_names())
        raise SpecError(f"no overlay {shown(overlay)}: there are {names}, or give a .json file")
    values, sources = _read(text, where)
    name = values.get("name", Path(overlay).stem)
    values["name"] = f"{spec.name}-{name}" if isinstance(name, str) else name
    return _validated(_merged(spec.model_dump(), values), where, spec._sources | sources)


def _merged(tree: Any, changes: Any) -> Any:
    """`tree` with the leaves of `changes` in their places."""
    if not isinstance(tree, dict) or not isinstance(changes, Mapping):
        return changes
    return tree | {key: _merged(tree.get(key), value) for key, value in changes.items()}


def parse_spec(text: str, where: str) -> HardwareSpec:
    """A specification from JSON in the form of the presets. Raises `SpecError`, naming `where`."""
    values, sources = _read(text, where)
    return _validated(values, where, sources)


def _read(text: str, where: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Bare values of a file in the form of the presets, and the source of each."""
    try:
        tree = parse_json(text, where)
    except ArtefactError as error:
        raise SpecError(str(error)) from error
    if not isinstance(tree, dict):
        raise SpecError(f"{where}: needs an object of groups, has {type(tree).__name__}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, part in tree.items():
        if name == "schedules" and isinstance(part, Mapping):
            values[name] = {
                key: _values(group, Schedule, (name, key), where, sources)
                for key, group in part.items()
            }
        else:
            model = HardwareSpec.model_fields.get(name)
            kind = model.annotation if model else None
            values[name] = _values(part, kind, (name,), where, sources)
    return values, sources


def _values(
    group: Any, model: Any, path: tuple[str, ...], where: str, sources: dict[str, str]
) -> Any:
    """The bare values of one group of a preset, their units compared; notes their sources."""
    if not isinstance(group, Mapping):
        return group
    known = getattr(model, "model_fields", {})
    values = {}
    for field, quantity in group.items():
        at = f"{where}: {'.'.join(map(readable, (*path, field)))}"
        if not isinstance(quantity, Mapping) or "value" not in quantity:
            raise SpecError(f"{at}: needs an object with value, unit and source")
        if unknown := [key for key in quantity if key not in QUANTITY]:
            raise SpecError(f"{at}: has {shown(unknown[0])}, needs value, unit and source only")
        found, source = quantity.get("unit"), quantity.get("source", "")
        if field in known and found != unit_of(known[field]):
            raise SpecError(f"{at}: unit is {shown(found)}, needs {unit_of(known[field])!r}")
        if not isinstance(source, str):
            raise SpecError(f"{at}: source is {shown(source)}, needs text")
        values[field] = quantity["value"]
        sources[".".join((*path, field))] = source
    return values


def _validated(tree: Mapping[str, Any], where: str, sources: Mapping[str, str]) -> HardwareSpec:
    try:
        spec = HardwareSpec.model_validate(tree)
    except ValidationError as error:
        raise SpecError(f"{where}: {sentences(error)}") from error
    spec._sources.update({field: source for field, source in sources.items() if source})
    return spec
