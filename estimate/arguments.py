"""Values that commands of the estimate take."""

import argparse
import math


def finite(text: str) -> float:
    """A type of `argparse`: numbers, neither infinite nor NaN."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r}: needs a finite number")
    return value
