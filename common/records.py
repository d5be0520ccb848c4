"""What a JSON file of the project has to hold, as pydantic models, and how a wrong one is refused.

No type stands for another: not `true` or `"64"` for 64, not 64.0 where a whole number is needed.
Entries that a model does not name may be there, and are not read.
"""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import ArtefactError
from common.fields import sentences
from common.files import read_json

__all__ = ["Provenance", "Record", "Sha256"]

Sha256 = Field(pattern="^[0-9a-f]{64}$")


class Record(BaseModel):
    """An object of a JSON file."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The object that a file holds. Raises `ArtefactError`, naming field, value and needs."""
        return cls.of(read_json(path), path)

    @classmethod
    def of(cls, tree: Any, where: Path | str) -> Self:
        """The same for what has been read already; where: named in the error."""
        if not isinstance(tree, dict):
            raise ArtefactError(f"{where}: needs an object, has {type(tree).__name__}")
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise ArtefactError(f"{where}: {sentences(error)}") from error


class _Git(Record):
    commit: str = ""
    dirty: bool = False


class Provenance(Record):
    """Where a result comes from, as `provenance` and the commands write it."""

    git: _Git = _Git()
    time_utc: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    python: str = ""
