"""Arithmetic on bit planes: word b of a list holds bit b of every lane.

One operation then serves all lanes at once. The gates are those of an adder per lane; a simulator
sees a few wide operations instead of thousands of narrow ones.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal, Value

__all__ = ["add_columns", "differs", "lanes_to_planes", "planes_to_lanes"]

SUM_DELAY, CARRY_DELAY = 4, 3
"""Delays of a full adder's outputs, relative to each other."""


def lanes_to_planes(lanes: Value, width: int) -> list[Value]:
    """Split `lanes`, fields of `width` bits side by side, into `width` planes."""
    return [Cat(lanes[i] for i in range(bit, len(lanes), width)) for bit in range(width)]


def planes_to_lanes(planes: list[Signal]) -> Value:
    """Put planes back side by side as one field per lane."""
    return Cat(plane[lane] for lane in range(len(planes[0])) for plane in planes)


def differs(planes: list[Signal], number: Value) -> Value:
    """The lanes whose value is not `number`, which is the same for all lanes."""
    unequal = [Mux(number[bit], ~plane, plane) for bit, plane in enumerate(planes)]
    return reduce(or_, unequal)


def add_columns(m: Module, columns: Mapping[int, Iterable[Value]], width: int) -> list[Value]:
    """Sum in every lane of the words in `columns`, where `columns[b]` have weight 2^b.

    Reduces each column by rows of full adders, as a Wallace tree does, and adds first what is there
    first, so that the delay grows with the logarithm of the number of words. Returns `width`
    planes, the sum modulo 2^width.
    """
    todo = {bit: [(0, word) for word in columns.get(bit, ())] for bit in range(width)}
    planes: list[Value] = []
    for bit in range(width):
        arrivals = todo[bit]  # (delay, word)
        while len(arrivals) > 1:
            arrivals.sort(key=lambda arrival: arrival[0])
            first, rest = arrivals[:3], arrivals[3:]
            total, carry = _add(m, f"w{bit}_{len(arrivals)}", [word for _, word in first])
            ready = first[-1][0]
            arrivals = [*rest, (ready + SUM_DELAY, total)]
            if bit + 1 < width:
                todo[bit + 1].append((ready + CARRY_DELAY, carry))
        planes.append(arrivals[0][1])
    return planes


def _add(m: Module, name: str, words: list[Value]) -> tuple[Signal, Signal]:
    """Sum and carry of two or three words, by one or two half adders."""
    total, carry = _half_add(m, f"{name}_a", *words[:2])
    if len(words) == 2:
        return total, carry
    total, second = _half_add(m, f"{name}_b", total, words[2])
    either = Signal(len(total), name=f"carry_{name}")
    m.d.comb += either.eq(carry | second)
    return total, either


def _half_add(m: Module, name: str, a: Value, b: Value) -> tuple[Signal, Signal]:
    total, carry = Signal(len(a), name=f"sum_{name}"), Signal(len(a), name=f"carry_{name}")
    m.d.comb += [carry.eq(a & b), total.eq((a | b) & ~carry)]
    return total, carry
