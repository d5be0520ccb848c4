"""What the page reads of other commands' result files; a file that lacks it is not shown."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from common.records import Provenance, Record

__all__ = ["Checked", "Evaluation", "ModelRecord", "Sensitivity", "Validation"]

Count = Annotated[int, Field(ge=0, le=10**15)]
Cycles = Annotated[float, Field(ge=0, le=1e15)]
Share = Annotated[float, Field(ge=-1e6, le=1e6)]
Perplexity = Annotated[float, Field(ge=1e-9, le=1e100)]


class _Run(Record):
    name: str
    schedule: str
    head_tokens: Count
    mismatches: Count
    cycles_per_token: Cycles
    cycles_between_tokens: Cycles | None
    max_gap_cycles: Count = 0
    max_stall_cycles: Count = 0


class Checked(Provenance):
    """Of `make verify` and `make sim`."""

    spec_hash: str
    simulator: str
    head_tokens: Count
    mismatches: Count
    numpy_mismatches: Count = 0
    seed: int
    runs: Annotated[list[_Run], Field(min_length=1)]


class _Predicted(Record):
    name: str
    tokens: Count
    cycles: Count
    predicted_cycles: Count
    accuracy: Share
    tokens_off: Count


class Validation(Provenance):
    """Of `make validate`."""

    accuracy: Share
    tokens: Count
    times_faster_full_size: Cycles
    published_accuracy: Share
    rows: Annotated[list[_Predicted], Field(min_length=1)]


class _Stage(Record):
    model: str
    stage: str
    perplexity: Perplexity
    ratio_to_teacher: Perplexity


class _Model(Record):
    tokens: Count | None = None


class Evaluation(Provenance):
    """Of `make eval`."""

    codes_hash: str
    rows: Annotated[list[_Stage], Field(min_length=1)]
    models: dict[str, _Model]


class _Settings(Record):
    seed: int


class _Teacher(Record):
    settings: _Settings


class _Adapted(Record):
    settings: dict[str, _Settings]


class ModelRecord(Provenance):
    """The record of the shipped model."""

    codes_hash: str
    tokens: Count
    perplexity: dict[str, Perplexity | None]
    teacher: _Teacher
    adapted: _Adapted

    @field_validator("perplexity")
    @classmethod
    def _has_teacher(cls, found: dict[str, Any]) -> dict[str, Any]:
        if found.get("teacher") is None:
            raise ValueError("has no teacher")
        return found


class _Point(Record):
    sweep: str
    unit: str
    value: Annotated[float, Field(gt=0, le=1e12)]
    perplexity: Perplexity
    ratio_to_ideal: Perplexity


class Sensitivity(Provenance):
    """Of `make sensitivity`."""

    codes_hash: str
    texts: Count
    tokens: Count
    seed: int = 0
    ideal_perplexity: Perplexity
    rows: list[_Point]
