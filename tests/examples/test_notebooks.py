"""Notebooks run from top to bottom and print what is stored in them."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "examples"
SLOW = {"your-model"}


def notebooks():
    for path in sorted(FOLDER.glob("*.ipynb")):
        marks = [pytest.mark.slow] if path.stem in SLOW else []
        yield pytest.param(path, id=path.stem, marks=marks)


def printed(notebook):
    """What each cell writes to stdout, and how many images it shows."""
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        text = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
        yield text, sum("image/png" in o.get("data", {}) for o in outputs)


@pytest.mark.filterwarnings("default")  # those of Jupyter's client are no concern of ours
@pytest.mark.parametrize("path", [*notebooks()])
def test_prints_what_it_says(path, tmp_path):
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(fresh, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [*printed(fresh)] == [*printed(stored)]


def test_there_are_three_with_small_outputs():
    paths = [*FOLDER.glob("*.ipynb")]
    assert len(paths) == 3
    for path in paths:
        assert path.stat().st_size < 200_000
        nbformat.validate(nbformat.read(path, as_version=4))
