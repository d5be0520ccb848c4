"""A sum that can be opened down to one action: energy in J or area in m2."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from estimate.circuits.component import Action

__all__ = ["Breakdown", "covered", "spent", "total"]


@dataclass(frozen=True)
class Breakdown:
    """A node of the sum.

    Attributes:
        name: what it is.
        value: energy in J or area in m2, of all parts together.
        how: for a leaf, the product that gave it.
        parts: what it is made of; empty for a leaf.
    """

    name: str
    value: float
    how: str = ""
    parts: tuple["Breakdown", ...] = ()

    def part(self, *path: str) -> "Breakdown":
        """The node at the end of a path of names. Raises `KeyError` if there is none."""
        node = self
        for name in path:
            node = {part.name: part for part in node.parts}[name]
        return node

    def leaves(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], "Breakdown"]]:
        """Every single action or part with its path, without the root."""
        for part in self.parts:
            if part.parts:
                yield from part.leaves((*path, part.name))
            else:
                yield (*path, part.name), part

    def lines(self, scale: float, unit: str, depth: int = 9, indent: int = 0) -> Iterator[str]:
        """The tree as text down to a depth, values in `unit`, which is `scale` SI units."""
        label = f"{'  ' * indent}{self.name}"
        yield f"{label:<44}{self.value / scale:>12,.4g} {unit}  {self.how}".rstrip()
        for part in self.parts if depth > 0 else ():
            yield from part.lines(scale, unit, depth - 1, indent + 1)

    def to_tree(self) -> dict[str, Any]:
        """For JSON."""
        tree: dict[str, Any] = {"name": self.name, "value": self.value}
        if self.how:
            tree["how"] = self.how
        if self.parts:
            tree["parts"] = [part.to_tree() for part in self.parts]
        return tree


def spent(name: str, count: float, action: Action) -> Breakdown:
    """Energy of an action, so many times."""
    each = f"{count:,.6g} x {action.energy_j:.4g} J"
    return Breakdown(name, count * action.energy_j, f"{each}: {action.how}")


def covered(name: str, count: float, area_m2: float) -> Breakdown:
    """Area of so many instances."""
    return Breakdown(name, count * area_m2, f"{count:,.6g} x {area_m2:.4g} m2")


def total(name: str, parts: Iterable[Breakdown]) -> Breakdown:
    """A sum."""
    parts = tuple(parts)
    return Breakdown(name, sum(part.value for part in parts), parts=parts)
