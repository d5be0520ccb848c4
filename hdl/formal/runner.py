"""Proves properties and sees to it that their broken variants are caught."""

import time
from collections.abc import Generator, Iterable
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

from common.processes import threads
from hdl.formal.design import Design
from hdl.formal.property import Property
from hdl.formal.solver import Outcome, solve

__all__ = ["Verdict", "check", "check_all"]


@dataclass(frozen=True)
class Verdict:
    """What came of a property and of its broken variant.

    Attributes
    ----------
    real, broken : Outcome
        Of the component as it is, and of the variant.
    seconds : float
        Wall time of both.
    """

    item: Property
    real: Outcome
    broken: Outcome
    seconds: float

    @property
    def proved(self) -> bool:
        """The component has the property."""
        return self.real.status == "PASS"

    @property
    def caught(self) -> bool:
        """The broken variant violates the property, from reset."""
        return self.broken.status == "FAIL"

    @property
    def fault(self) -> str:
        """What is wrong, in one line; empty if nothing is."""
        if not self.proved:
            why = {
                "FAIL": "does not hold",
                "UNKNOWN": "holds from reset as far as it was checked, but the induction fails",
                "TIMEOUT": "the solver did not finish",
            }[self.real.status]
            where = f" at {self.real.failed}" if self.real.failed else ""
            return f"{self.item.name}: {why}{where}; trace {self.real.trace}"
        if not self.caught:
            variant = self.item.broken.breaks
            return f"{self.item.name}: its broken variant ({variant}) is not caught"
        return ""


def check(item: Property, folder: Path) -> Verdict:
    """Prove one property and refute it of its broken variant, in `folder`/NAME."""
    start = time.perf_counter()
    folder = folder / item.name
    real = solve(item.watch(Design(), item.spec), folder / "real", "prove", item.depth)
    variant = item.watch(Design(item.broken), item.spec)
    broken = solve(variant, folder / "broken", "bmc", item.caught_within)
    return Verdict(item, real, broken, time.perf_counter() - start)


def check_all(items: Iterable[Property], folder: Path, jobs: int) -> Generator[Verdict, None, None]:
    """Check `items`, `jobs` at a time; verdicts in the order in which they come."""
    with threads(jobs) as pool:
        for done in as_completed([pool.submit(check, item, folder) for item in items]):
            yield done.result()
