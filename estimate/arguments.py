"""Values that commands of the estimate take."""

import argparse
import math
from collections.abc import Callable

__all__ = ["finite", "whole"]


def whole(least: int) -> Callable[[str], int]:
    """A type of `argparse`: whole numbers from `least` up."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}: needs a whole number from {least} up")
        return int(text)

    return parse


def finite(text: str) -> float:
    """A type of `argparse`: numbers, neither infinite nor NaN."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r}: needs a finite number")
    return value
