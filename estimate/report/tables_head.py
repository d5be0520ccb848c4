"""Tables of one head: the specification, what was checked, cycles, energy, area."""

from collections.abc import Iterator, Mapping
from typing import Any

from analog_models.spec import HardwareSpec
from estimate.measured import Measured
from estimate.report.sources import Source
from estimate.report.table import View
from estimate.report.wording import EMPTY, count, percent, shown, tidy
from estimate.tables import COMMAND, DIGITAL, HEADS, view

__all__ = ["check_tables", "cost_tables", "specification_tables"]

Tree = Mapping[str, Any]
CHECKS = ("verify", "sim")
KEY_FIELDS = (
    "geometry.head_dim",
    "geometry.subtile",
    "geometry.subtiles",
    "levels.q",
    "levels.kv",
    "levels.out_magnitude_bits",
    "cell.v_supply_v",
    "leakage.decay_per_token",
    "converter.s_sat",
    "converter.a_sat",
    "converter.t_max_ps",
    "clock.t_clk_ps",
)
"""What decides most; the rest is folded away."""


def specification_tables(spec: HardwareSpec) -> Iterator[View]:
    """The values that decide most, and all of them with their sources."""
    rows = {name: [_value(of["value"]), of["unit"], of["source"]] for name, of in _fields(spec)}
    header = ["field", "value", "unit", "source"]
    key = [[name, *rows[name]] for name in KEY_FIELDS]
    yield View("specification", f"{spec.name}: what decides most", header, key)
    every = [[name, *of] for name, of in rows.items()]
    yield View("specification-all", f"{spec.name}: every value", header, every)


def _fields(spec: HardwareSpec) -> Iterator[tuple[str, Tree]]:
    """Every value with its unit and source, by `group.field`."""

    def walk(tree: Any, path: str) -> Iterator[tuple[str, Tree]]:
        if isinstance(tree, Mapping) and "value" in tree and "unit" in tree:
            yield path, tree
        elif isinstance(tree, Mapping):
            for key, part in tree.items():
                yield from walk(part, f"{path}.{key}" if path else key)

    return walk({k: v for k, v in spec.to_tree().items() if k != "name"}, "")


def _value(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "; ".join(_value(row) for row in value)
    if isinstance(value, list):
        return ", ".join(f"{x:g}" for x in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def check_tables(sources: Mapping[str, Source]) -> Iterator[View]:
    """What the co-simulation found, and how good the virtual model is; those that have been run."""
    rows = [row for name in CHECKS for row in _check_rows(sources[name])]
    if rows:
        header = ["golden vectors", "computed by", "schedule", "head-tokens", "mismatches"]
        header += ["cycles a token", "between tokens", "back-pressure"]
        caption = "Output codes of the RTL against the golden ones, code for code"
        yield View("check", caption, header, rows, "make verify; make sim")
    if result := sources["validation"].result:
        rows = [
            [
                row["name"],
                *(count(row[key]) for key in ("tokens", "cycles", "predicted_cycles")),
                percent(row["accuracy"]),
                count(row["tokens_off"]),
            ]
            for row in result["rows"]
        ]
        header = [
            "workload",
            "tokens",
            "co-simulated cycles",
            "predicted",
            "accuracy",
            "tokens off",
        ]
        caption = "The virtual model on workloads that it has not seen"
        yield View("validation", caption, header, rows, sources["validation"].command)


def _check_rows(source: Source) -> Iterator[list[str]]:
    result = source.result
    if result is None:
        return
    if "numpy_mismatches" in result:
        mismatches = count(result["numpy_mismatches"])
        yield ["all of them", "numpy", EMPTY, EMPTY, mismatches, EMPTY, EMPTY, EMPTY]
    for run in result["runs"]:
        between = run["cycles_between_tokens"]
        stall = max(run.get("max_gap_cycles", 0), run.get("max_stall_cycles", 0))
        yield [
            run["name"],
            f"RTL in {result['simulator']}",
            run["schedule"],
            count(run["head_tokens"]),
            count(run["mismatches"]),
            f"{run['cycles_per_token']:g}",
            EMPTY if between is None else f"{between:g}",
            f"up to {stall} cycles" if stall else "none",
        ]


def cost_tables(tree: Tree, measured: Measured, spec: HardwareSpec) -> Iterator[View]:
    """Cycles, energy and area by schedule; tree: of `Estimate.to_tree`."""
    yield _cycles(tree, measured, spec)
    yield _parts("energy", "Energy of a token in one head", tree, "J", "synthesis")
    yield _parts("area", "Area of one head", tree, "m2")
    first = next(iter(tree["heads"]))
    action = [
        [", ".join(path), shown(node["value"], "J"), tidy(node["how"])]
        for path, node in _leaves(tree["heads"][first]["energy_j"]["synthesis"])
    ]
    header = ["action", "energy", "how many x energy of one: formula"]
    caption = f"Energy of a token in {first}, down to one action"
    yield View("actions", caption, header, action, "python -m estimate --tree")
    digital = [{"name": name, **of} for name, of in tree["digital"].items()]
    yield view("digital", "Digital energy of a token, two bases", DIGITAL, digital, COMMAND)


def _cycles(tree: Tree, measured: Measured, spec: HardwareSpec) -> View:
    rows = []
    for name, head in tree["heads"].items():
        known = measured.cycles_of(spec, name) is not None
        rows.append({"name": name, "cycles_are": "measured" if known else "predicted", **head})
    commands = "make measure; make estimate"
    return view("cycles", "One token and head, by schedule", HEADS, rows, commands)


def _parts(name: str, caption: str, tree: Tree, unit: str, basis: str = "") -> View:
    """Two levels of a breakdown, one column for each schedule."""
    heads = {
        schedule: head["energy_j"][basis] if basis else head["area_m2"]
        for schedule, head in tree["heads"].items()
    }
    first = next(iter(heads.values()))
    rows = [["all", *(shown(node["value"], unit) for node in heads.values())]]
    for i, part in enumerate(first["parts"]):
        columns = [node["parts"][i] for node in heads.values()]
        rows.append([part["name"], *(shown(node["value"], unit) for node in columns)])
        for j, leaf in enumerate(part.get("parts", ())):
            values = (shown(node["parts"][j]["value"], unit) for node in columns)
            rows.append([f"— {leaf['name']}", *values])
    return View(name, caption, ["part", *heads], rows, COMMAND)


def _leaves(node: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Tree]]:
    for part in node.get("parts", ()):
        if "parts" in part:
            yield from _leaves(part, (*path, part["name"]))
        else:
            yield (*path, part["name"]), part
