import pytest

from estimate.breakdown import covered, spent, total
from estimate.circuits.component import Action
from tests.estimate.si import approx

TREE = total(
    "token",
    [
        total("product", [spent("lines", 3, Action(2e-12, 1e-9, "C V^2")), covered("x", 2, 1e-12)]),
        spent("rest", 1, Action(4e-12, 1e-9, "all else")),
    ],
)


def test_a_sum_is_that_of_its_leaves():
    assert TREE.value == approx(12e-12)
    leaves = dict(TREE.leaves())
    assert sum(leaf.value for leaf in leaves.values()) == approx(TREE.value)
    assert set(leaves) == {("product", "lines"), ("product", "x"), ("rest",)}
    assert TREE.part("product", "lines").how == "3 x 2e-12 J: C V^2"
    with pytest.raises(KeyError):
        TREE.part("nothing")


def test_it_is_printed_to_a_depth_and_written_whole():
    assert len([*TREE.lines(1e-12, "pJ", 0)]) == 1
    assert len([*TREE.lines(1e-12, "pJ", 1)]) == 3
    lines = [*TREE.lines(1e-12, "pJ")]
    assert len(lines) == 5 and lines[2].startswith("    lines") and "6 pJ" in lines[2]
    assert TREE.to_tree()["parts"][0]["parts"][0]["name"] == "lines"
