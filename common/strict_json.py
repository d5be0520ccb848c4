"""JSON as RFC 8259 has it, and nothing beside it that Python's reader lets pass.

Refused, with the place: the same key twice in an object, NaN and infinity, numbers beyond what
float64 or 64 bits hold, text that is no Unicode, and deep nesting.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from common.errors import ArtefactError, readable, shown

__all__ = ["MAX_DEPTH", "parse_json"]

MAX_DEPTH = 64
MOST_DIGITS = 20  # of a whole number; 64 bits have no more


class _Beyond(str):
    """A number that JSON does not have, or that is too large: as it was written."""


def parse_json(text: str, where: str, most_digits: int = MOST_DIGITS) -> Any:
    """What a JSON text holds. Raises `ArtefactError`, which names `where`.

    Of a key that stands twice, which value is meant cannot be told. `most_digits`: of a whole
    number; files of other projects have numbers beyond 64 bits. In error messages a place is
    written `levels.q` or `rows[3].name`.
    """
    doubles: list[tuple[dict[str, Any], str]] = []

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree = dict(pairs)
        if len(tree) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            doubles.append((tree, next(key for key, count in counts.items() if count > 1)))
        return tree

    try:
        tree = json.loads(
            text,
            object_pairs_hook=as_object,
            parse_constant=_Beyond,
            parse_float=_real,
            parse_int=lambda number: (int if len(number) <= most_digits else _Beyond)(number),
        )
        fault = next(_faults(tree, "", doubles), None)
    except RecursionError:
        fault = f"nested deeper than {MAX_DEPTH} levels"
    except ValueError as error:
        raise ArtefactError(f"{where}: not JSON: {error}") from error
    if fault:
        raise ArtefactError(f"{where}: {fault}")
    return tree


def _real(text: str) -> float | _Beyond:
    value = float(text)
    return value if math.isfinite(value) else _Beyond(text)


def _faults(node: Any, at: str, doubles: list, depth: int = 0) -> Iterator[str]:
    """What is wrong with a tree that could be parsed, and where."""
    if depth > MAX_DEPTH:
        yield f"nested deeper than {MAX_DEPTH} levels"
        return
    if isinstance(node, dict):
        yield from (
            f"{_below(at, key)}: this key stands twice" for tree, key in doubles if tree is node
        )
        for key, value in node.items():
            if not _is_unicode(key):
                yield f"{at or 'key'}: {shown(key)} is not Unicode text"
            yield from _faults(value, _below(at, key), doubles, depth + 1)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _faults(value, f"{at}[{i}]", doubles, depth + 1)
    elif isinstance(node, _Beyond):
        needs = "needs a finite number, not of so many digits"
        yield f"{at or 'content'} = {_cut(node)}: {needs}"
    elif isinstance(node, str) and not _is_unicode(node):
        yield f"{at or 'content'} = {shown(node)}: not Unicode text"


def _below(at: str, key: str) -> str:
    return f"{at}.{readable(key)}" if at else readable(key)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_DIGITS else f"{text[:MOST_DIGITS]}…"


def _is_unicode(text: str) -> bool:
    """Whether it is more than halves of characters, which no file can hold as UTF-8."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
