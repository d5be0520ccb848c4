"""What `measured.json` has to hold besides the specification that it is of."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from common.records import Provenance, Record
from estimate.circuits.logic import LOGIC_BLOCKS

__all__ = ["SIGNALS", "ActivityResult", "MeasuredFile", "SynthesisResult"]

SIGNALS = (
    *("query_duty", "query_pulses", "score_moved", "score_net", "phi_duty", "phi_pulses"),
    *("row_moved", "row_net", "out_duty", "out_pulses", "sign_changes", "write_step"),
)
"""Names of `cosim.activity.head_activity`."""


def _with(*names: str) -> AfterValidator:
    """A rule: all of the names are there."""

    def check(found: Mapping[str, Any]) -> Mapping[str, Any]:
        _require(found, names)
        return found

    return AfterValidator(check)


def _require(found: Iterable[str], names: Iterable[str]) -> None:
    present = set(found)
    if missing := [name for name in names if name not in present]:
        raise ValueError(f"has no {', '.join(missing)}")


Share = Annotated[float, Field(ge=0, le=1e12)]
Positive = Annotated[float, Field(ge=1e-12, le=1e12)]
Cycles = Annotated[int, Field(gt=0, le=10**6)]


class _Cycles(Record):
    latency: Cycles
    between: Cycles


class _Spread(Record):
    mean: Share
    lowest: Share
    highest: Share


class _Component(Record):
    component: str
    cells: Annotated[int, Field(ge=0)]
    flip_flops: Annotated[int, Field(ge=0, le=10**9)]
    area_um2: Share
    leakage_w: Share


def _all_blocks(rows: list[_Component]) -> list[_Component]:
    _require([row.component for row in rows], LOGIC_BLOCKS)
    return rows


class _Energy(Record):
    cycles_per_token: Positive
    energy_j: Annotated[dict[str, Share], _with(*LOGIC_BLOCKS)]


class _Kinds(Record):
    quiet: _Energy
    random: _Energy


class _Synthesis(Record):
    library: str
    library_title: str
    node_m: Annotated[float, Field(ge=1e-9, le=1e-4)]
    supply_v: Annotated[float, Field(ge=0.01, le=100)]
    cells: Annotated[int, Field(ge=0)]
    flip_flops: Annotated[int, Field(ge=0)]
    area_um2: Share
    leakage_w: Share
    power_period_s: Share
    random_activity: Annotated[dict[str, Positive], _with("query_duty", "out_duty")]
    energy_by_schedule: Annotated[dict[str, _Kinds], Field(min_length=1)]
    components: Annotated[list[_Component], AfterValidator(_all_blocks)]


Activities = Annotated[dict[str, _Spread], _with(*SIGNALS)]


class ActivityResult(Provenance):
    """What is read of the result of `cosim.activity`."""

    spec_hash: str
    activity: Activities


class SynthesisResult(Provenance, _Synthesis):
    """What is read of the result of `hdl.synth`."""

    spec_hash: str


class _Spec(Record):
    name: str
    hash: str
    shape: dict[str, Any]


class _Source(Provenance):
    simulator: str = ""


class MeasuredFile(Record):
    """All of `measured.json`."""

    spec: _Spec
    cycles: dict[str, _Cycles]
    activity: Activities
    synthesis: Annotated[dict[str, _Synthesis], Field(min_length=1)]
    sources: dict[str, _Source]
