"""Command-line arguments that the commands of the co-simulation share."""

import argparse
from pathlib import Path

from analog_models.spec import overlay_names
from common.arguments import natural, seed_number, worker_count
from cosim.reference.golden_streams import GOLDEN
from cosim.run.building import DEFAULT_SIMULATOR, SIMULATORS
from cosim.run.workers import available_workers

__all__ = [
    "add_back_pressure",
    "add_imperfections",
    "add_schedule",
    "add_simulator",
    "command_parser",
    "natural",
]


def command_parser(
    name: str, description: str | None, golden: bool = True, package: str = "cosim"
) -> argparse.ArgumentParser:
    """A parser for `python -m PACKAGE.NAME` with the folders it takes; golden: vectors, too."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if golden:
        parser.add_argument(
            "--golden", type=Path, default=GOLDEN, help="folder of the golden vectors"
        )
    parser.add_argument("--build", type=Path, default=Path("build"), help="for results (build)")
    return parser


def add_back_pressure(parser: argparse.ArgumentParser, stalls: int) -> None:
    """Random back-pressure on both streams, by default up to `stalls` cycles."""
    text = f"random back-pressure on both streams, up to N cycles ({stalls})"
    parser.add_argument("--stalls", type=natural(0, 10**6), default=stalls, metavar="N", help=text)
    text = "its seed, and that of noise (0)"
    parser.add_argument("--seed", type=seed_number, default=0, metavar="N", help=text)


def add_imperfections(parser: argparse.ArgumentParser) -> None:
    """Values to lay over the specification, and the piece of hardware to draw."""
    names = ", ".join(overlay_names())
    text = f"imperfections of the analog side: {names}, or the JSON file of an overlay (none)"
    parser.add_argument("--imperfections", metavar="NAME", help=text)
    text = "number of the piece of hardware that is drawn (0)"
    parser.add_argument("--device", type=seed_number, default=0, metavar="N", help=text)


def add_schedule(parser: argparse.ArgumentParser, default: str) -> None:
    """The schedule to run, by its name in the specification."""
    text = f"schedule of the specification ({default})"
    parser.add_argument("--schedule", metavar="NAME", help=text)


def add_simulator(
    parser: argparse.ArgumentParser, default: str | None = DEFAULT_SIMULATOR, workers: bool = True
) -> None:
    """Which simulator (None: all of them); workers: and how many of it side by side."""
    add, names, cores = parser.add_argument, list(SIMULATORS), available_workers()
    add("--sim", choices=names, default=default, help=f"({default or 'one after the other'})")
    if workers:
        text = f"heads simulated at once (as many as this machine has cores, {cores})"
        add("--workers", type=worker_count, default=cores, metavar="N", help=text)
