"""What the groups of a specification are made of: frozen models whose fields carry a unit."""

from reprlib import repr  # cut off where it is long
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "MAX_CYCLES",
    "MAX_SLOTS",
    "Bound",
    "Count",
    "Cycle",
    "Cycles",
    "Group",
    "Volts",
    "sentences",
    "unit",
    "unit_of",
]

MAX_CYCLES = 4096
MAX_SLOTS = 65536

Count = Annotated[int, Field(gt=0, le=MAX_SLOTS)]
Cycles = Annotated[int, Field(gt=0, le=MAX_CYCLES)]
Cycle = Annotated[int, Field(ge=0, le=MAX_CYCLES)]
Volts = Annotated[float, Field(ge=0, le=10)]

Bound = tuple[str, float, float, float, str]
"""A rule across fields: (field, value, lowest, highest, reason)."""


class Group(BaseModel):
    """Some quantities of a specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def unit(name: str, default: Any = ...) -> Any:
    """A field of a group, in this unit; required, unless it has a default."""
    return Field(default, json_schema_extra={"unit": name})


def unit_of(field: Any) -> str:
    """The unit of a field of a group."""
    return field.json_schema_extra["unit"]


def sentences(error: ValidationError, *groups: str) -> str:
    """What is wrong, in one line: each field below `groups`, its value, and what is allowed."""
    return "; ".join(_sentence(one, groups) for one in error.errors())


def _sentence(error: Any, groups: tuple[str, ...]) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    given = "" if error["type"] == "missing" else f" = {repr(error['input'])}"
    return f"{'.'.join(map(str, (*groups, *error['loc'])))}{given}: {message}"
