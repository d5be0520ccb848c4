"""Types of command line arguments, for the commands of every part: bounded, finite, or refused."""

import argparse
import math
import os
import re
from collections.abc import Callable

from common.errors import shown

__all__ = ["MOST", "integer", "natural", "number", "seed_number", "utf_8", "worker_count"]

MOST = 10**9


def natural(lowest: int, highest: int = MOST) -> Callable[[str], int]:
    """Argument type: a whole number from `lowest` to `highest`, in decimal digits."""

    def parse(text: str) -> int:
        value = _whole(text)
        if value is None or value < lowest:
            raise argparse.ArgumentTypeError(
                f"{shown(text)}: needs a whole number from {lowest} up"
            )
        if value > highest:
            raise argparse.ArgumentTypeError(
                f"{shown(text)}: needs a whole number from {lowest} to {highest:,}"
            )
        return value

    return parse


def integer(text: str) -> int:
    """Argument type: a whole number of whose range another has the say; at most `MOST` in size."""
    value = _whole(text)
    if value is None or abs(value) > MOST:
        raise argparse.ArgumentTypeError(
            f"{shown(text)}: needs a whole number from {-MOST:,} to {MOST:,}"
        )
    return value


def number(lowest: float = -MOST, highest: float = MOST) -> Callable[[str], float]:
    """Argument type: a finite number from `lowest` to `highest`."""

    def parse(text: str) -> float:
        try:
            value = float(text) if re.fullmatch(r"[-+.0-9eE]+", text) else math.nan
        except ValueError:
            value = math.nan
        needed = f"a number from {lowest:g} up" if lowest > -MOST else "a finite number"
        if value > highest and value < math.inf:
            needed = f"a number from {lowest:g} to {highest:g}"
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{shown(text)}: needs {needed}")
        return value

    return parse


def utf_8(argument: str) -> str:
    """Argument type: text in UTF-8, whatever the locale says of its bytes."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        raise argparse.ArgumentTypeError(f"{shown(argument)}: needs text in UTF-8") from None


def _whole(text: str) -> int | None:
    """What the digits say; None for anything else. More than 20 digits are enough of them."""
    return int(text[:20]) if re.fullmatch("-?[0-9]+", text) else None


seed_number = natural(0, 2**32 - 1)
"""Argument type: what random numbers are drawn with."""

worker_count = natural(1, 1024)
"""Argument type: processes or threads side by side."""
