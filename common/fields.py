"""What the groups of a specification are made of: frozen models whose fields carry a unit."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import readable, shown

__all__ = [
    "MAX_CYCLES",
    "MAX_SLOTS",
    "AsTuple",
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
MOST_SENTENCES = 2

Count = Annotated[int, Field(gt=0, le=MAX_SLOTS)]
Cycles = Annotated[int, Field(gt=0, le=MAX_CYCLES)]
Cycle = Annotated[int, Field(ge=0, le=MAX_CYCLES)]
Volts = Annotated[float, Field(ge=0, le=10)]
AsTuple = Field(strict=False)  # a tuple may come as the list that JSON has instead

Bound = tuple[str, float, float, float, str]
"""A rule across fields: (field, value, lowest, highest, reason)."""


class Group(BaseModel):
    """Some quantities of a specification.

    No type stands for another, but a whole number for a real one: not `true` or `"64"` for 64, and
    not 64.0 where a whole number is needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


def unit(name: str, default: Any = ...) -> Any:
    """A field of a group, in this unit; required, unless it has a default."""
    return Field(default, json_schema_extra={"unit": name})


def unit_of(field: Any) -> str:
    """The unit of a field of a group."""
    return field.json_schema_extra["unit"]


def sentences(error: ValidationError, *groups: str) -> str:
    """What is wrong, in one line: fields below `groups`, their values, and what is allowed."""
    found = error.errors()
    text = "; ".join(_sentence(one, groups) for one in found[:MOST_SENTENCES])
    more = len(found) - MOST_SENTENCES
    return f"{text}; and {more} more" if more > 0 else text


def _sentence(error: Any, groups: tuple[str, ...]) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    given = "" if error["type"] == "missing" else f" = {shown(error['input'])}"
    return f"{'.'.join(map(readable, (*groups, *error['loc'])))}{given}: {message}"
