"""An extension of griffe: lists of members in docstrings, as Markdown.

    advance : In(1)
        A token is accepted.

becomes an entry of a list. Such lists stand below an underlined word.
"""

import inspect
import re
from typing import Any

from griffe import Extension

SECTION = re.compile(r"^(Members|Attributes)\n-+\n", re.MULTILINE)
ENTRY = re.compile(r"^(\S[^\n]*)\n((?:(?: {2,}[^\n]*)?\n?)*)", re.MULTILINE)


def listed(docstring: str) -> str:
    """A docstring whose sections with an underlined word are lists."""
    before, *sections = SECTION.split(inspect.cleandoc(docstring))
    for word, body in zip(sections[::2], sections[1::2], strict=True):
        entries = ENTRY.sub(lambda m: f"- `{m[1]}`: {' '.join(m[2].split())}\n", body)
        before += f"**{word}**\n\n{entries}"
    return before


class Members(Extension):
    """Rewrites the docstring of every class as it is read."""

    def on_class_instance(self, *, cls: Any, **_: Any) -> None:
        """Called by griffe."""
        if cls.docstring is not None:
            cls.docstring.value = listed(cls.docstring.value)
