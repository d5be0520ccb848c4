"""What `measured.json` has to hold besides the specification that it is of."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from analog_models.fields import sentences
from estimate.errors import EstimateError
from estimate.logic import LOGIC_BLOCKS

__all__ = ["SIGNALS", "check_measured"]

SIGNALS = (
    *("query_duty", "query_pulses", "score_moved", "score_net", "phi_duty", "phi_pulses"),
    *("row_moved", "row_net", "out_duty", "out_pulses", "sign_changes", "write_step"),
)
"""Names of `cosim.activity.head_activity`."""


def check_measured(tree: Mapping[str, Any], where: str) -> None:
    """Raise `EstimateError`, naming field, value and what is allowed, if a part is not right."""
    try:
        _File.model_validate(tree)
    except ValidationError as error:
        raise EstimateError(f"{where}: {sentences(error)}") from error


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


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


Share = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Cycles = Annotated[int, Field(gt=0)]


class _Cycles(_Part):
    latency: Cycles
    between: Cycles


class _Spread(_Part):
    mean: Share
    lowest: Share
    highest: Share


class _Component(_Part):
    component: str
    flip_flops: Annotated[int, Field(ge=0)]
    area_um2: Share
    leakage_w: Share


def _all_blocks(rows: list[_Component]) -> list[_Component]:
    _require([row.component for row in rows], LOGIC_BLOCKS)
    return rows


class _Energy(_Part):
    cycles_per_token: Positive
    energy_j: Annotated[dict[str, Share], _with(*LOGIC_BLOCKS)]


class _Kinds(_Part):
    quiet: _Energy
    random: _Energy


class _Synthesis(_Part):
    library: str
    node_m: Positive
    supply_v: Positive
    random_activity: Annotated[dict[str, Positive], _with("query_duty", "out_duty")]
    energy_by_schedule: Annotated[dict[str, _Kinds], Field(min_length=1)]
    components: Annotated[list[_Component], AfterValidator(_all_blocks)]


class _File(_Part):
    cycles: dict[str, _Cycles]
    activity: Annotated[dict[str, _Spread], _with(*SIGNALS)]
    synthesis: Annotated[dict[str, _Synthesis], Field(min_length=1)]
    sources: dict[str, dict[str, Any]]
