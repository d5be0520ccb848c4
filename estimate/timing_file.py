"""What `python -m cosim.timing` writes, as far as the estimate reads it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from analog_models.workload import Workload
from common.records import Provenance, Record

__all__ = ["TimedRun", "TimingFile"]

Edge = Annotated[int, Field(ge=0, le=2**48)]  # a clock cycle
Edges = Annotated[list[Edge], Field(min_length=1)]


class Columns(Record):
    """A workload, [token]."""

    query_only: list[Annotated[int, Field(ge=0, le=1)]]
    schedule: list[Annotated[int, Field(ge=0, le=255)]]
    gap: list[Edge]
    stall: list[Edge]


class TimedRun(Record):
    """A workload, and the clock cycles in which its tokens were seen; spec: a file beside."""

    name: str
    spec: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200)]
    spec_hash: str
    heads: Annotated[int, Field(ge=1, le=1024)]
    tokens: Annotated[int, Field(ge=1)]
    columns: Columns
    observed: Annotated[dict[Literal["accepted", "finished", "taken"], Edges], Field(min_length=1)]
    wall_s: Annotated[float, Field(ge=0, le=1e9)]

    @model_validator(mode="after")
    def _has_all_tokens(self) -> Self:
        for name, column in self.columns:
            if len(column) != self.tokens:
                raise ValueError(f"columns.{name}: has {len(column)}, needs {self.tokens} tokens")
        return self

    @property
    def workload(self) -> Workload:
        """The tokens, as the virtual model takes them."""
        return Workload.from_columns(self.columns.model_dump())


class TimingFile(Provenance):
    """All runs."""

    simulator: str = ""
    workloads: Annotated[list[TimedRun], Field(min_length=1)]
