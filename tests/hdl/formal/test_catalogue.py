from pathlib import Path

import pytest

from hdl.formal.catalogue import PROPERTIES
from hdl.formal.design import Design
from hdl.formal.runner import check
from hdl.formal.solver import circuit

DOCS = Path(__file__).parents[3] / "docs" / "formal.md"
QUICK = ("flush-empties-mask", "pulse-lasts-its-code", "no-write-while-read")


def test_names_are_unique_and_statements_are_sentences():
    names = [item.name for item in PROPERTIES]
    assert len(set(names)) == len(names) >= 12
    assert all(item.statement.endswith(".") for item in PROPERTIES)


def test_the_table_in_the_docs_is_that_of_the_catalogue():
    shown = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert shown == [
        f"| `{x.name}` ({x.component}) | {x.statement[:-1]} | {x.broken.breaks} |"
        for x in PROPERTIES
    ]


@pytest.mark.parametrize("item", PROPERTIES, ids=lambda item: item.name)
def test_every_broken_variant_can_be_built(item):
    assert "$check" in circuit(item.watch(Design(item.broken), item.spec))


@pytest.mark.parametrize("name", QUICK)
def test_quick_proofs(name, tmp_path):
    (item,) = (item for item in PROPERTIES if item.name == name)
    verdict = check(item, tmp_path)
    assert verdict.proved and verdict.caught, verdict.fault
