"""Types of command line arguments, for the commands of every part."""

import argparse
from collections.abc import Callable


def natural(lowest: int) -> Callable[[str], int]:
    """Argument type: a whole number from `lowest` up."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{text!r}: needs a whole number from {lowest} up")
        return value

    return parse
