"""Drawings: ids of their own, colours of the page, the same every time."""

from xml.etree import ElementTree

from matplotlib.figure import Figure

from estimate.report.svg import INK, drawing, style


def draw(name):
    with style():
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], "o-", color=INK)
        axes.set_title("a < b & µ")
        return drawing(figure, name, "title <", "description", "caption", "make x").svg


def test_ids_belong_to_the_figure():
    ids = {e.get("id") for e in ElementTree.fromstring(draw("one")).iter() if e.get("id")}
    others = {e.get("id") for e in ElementTree.fromstring(draw("two")).iter() if e.get("id")}
    assert ids and others and not ids & others


def test_it_scales_and_takes_the_colour_of_the_page():
    svg = draw("one")
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox") and root.get("width") is None and root.get("height") is None
    assert "currentColor" in svg and INK not in svg and "<metadata" not in svg
    assert "a &lt; b &amp; µ" in svg and "<text" in svg


def test_the_same_figure_gives_the_same_bytes():
    assert draw("one") == draw("one")
