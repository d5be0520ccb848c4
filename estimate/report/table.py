"""A table of the page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["View"]

NUMBER = re.compile(r"[-+−–×<>]?\s*\d|–$")


@dataclass(frozen=True)
class View:
    """Rows of cells under a header; the first cell of a row names it.

    command: what prints its numbers. notes: below the table.
    """

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    command: str = ""
    notes: Sequence[str] = field(default=())

    @property
    def numeric(self) -> list[bool]:
        """Whether a column holds numbers, which stand to the right."""
        columns = zip(*self.rows, strict=True)
        return [all(NUMBER.match(str(cell)) for cell in column) for column in columns]
