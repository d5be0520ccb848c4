"""Command-line arguments that the commands of the co-simulation share."""

import argparse
from collections.abc import Callable
from pathlib import Path

from cosim.golden import GOLDEN

__all__ = ["add_back_pressure", "add_schedule", "command_parser", "natural"]


def command_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for `python -m cosim.NAME` with the folders that every command takes."""
    parser = argparse.ArgumentParser(
        prog=f"python -m cosim.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="folder of the golden vectors")
    parser.add_argument("--build", type=Path, default=Path("build"), help="for results (build)")
    return parser


def add_back_pressure(parser: argparse.ArgumentParser, stalls: int) -> None:
    """Random back-pressure on both streams, by default up to `stalls` cycles."""
    text = f"random back-pressure on both streams, up to N cycles ({stalls})"
    parser.add_argument("--stalls", type=natural(0), default=stalls, metavar="N", help=text)
    parser.add_argument("--seed", type=natural(0), default=0, metavar="N", help="its seed (0)")


def add_schedule(parser: argparse.ArgumentParser, default: str) -> None:
    """The schedule to run, by its name in the specification."""
    text = f"schedule of the specification ({default})"
    parser.add_argument("--schedule", metavar="NAME", help=text)


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
