"""Plots are whole files of the format that their suffix names, or none."""

import pytest

from common.plots import plot_file


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_suffix_says_which_format(tmp_path, suffix, start):
    path = tmp_path / "new" / f"plot.{suffix}"
    with plot_file(path, 3, 2) as figure:
        figure.subplots().plot([1, 2])
    assert path.read_bytes().startswith(start)


def test_a_plot_that_fails_leaves_the_one_before(tmp_path):
    path = tmp_path / "plot.png"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), plot_file(path, 3, 2):
        raise ZeroDivisionError
    assert path.read_bytes() == b"before" and [*tmp_path.iterdir()] == [path]
