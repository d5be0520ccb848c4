"""Drawings as inline SVG: text stays text, ids are the figure's own, the ink is the page's.

Axes and letters take the colour of the surrounding text and bars are parted by that of the page, so
that one drawing serves light and dark screens and paper.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

__all__ = ["BRIGHT", "DEEP", "INK", "PAGE", "WIDTH_IN", "Drawing", "drawing", "style"]

WIDTH_IN = 5.6
INK, PAGE = "#010203", "#040506"  # stand for the two colours of the page
VARIABLES = {INK: "currentColor", PAGE: "var(--page)"}
BRIGHT = ("#7fb2e5", "#f0a58f", "#8fcfa5", "#c3b1e8", "#eac26b", "#7fced6", "#e9a3c9", "#b8c0c8")
"""Areas with dark letters on them."""
DEEP = ("#2f7ebc", "#c8553d", "#3f8f5b", "#8a6bc9", "#a8741a", "#2a8f9e", "#c0508f", "#73808c")
"""Lines and points: three to one against white and against the dark page."""
STYLE: Any = {
    "font.size": 9,
    "text.parse_math": False,  # a name from a file may have a $
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.18,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
    "grid.color": INK,
    "patch.edgecolor": PAGE,
    "axes.titlecolor": INK,
}
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


@dataclass(frozen=True)
class Drawing:
    """A figure of the page.

    title: what it shows, which a screen reader says. description: what one sees in it. caption: for
    everybody, below. command: what prints its numbers. svg: an element to put into the page.
    """

    name: str
    title: str
    description: str
    caption: str
    command: str
    svg: str


@contextmanager
def style() -> Iterator[None]:
    """The look of all drawings."""
    with matplotlib.rc_context(STYLE):
        yield


def drawing(
    figure: Figure, name: str, title: str, description: str, caption: str, command: str
) -> Drawing:
    """`figure` as an element with a title and a description; made within `style`."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for part in root.findall(f"{{{SVG}}}metadata"):
        root.remove(part)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _own(key, value, name))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    for i, (kind, text) in enumerate((("title", title), ("description", description))):
        tag = "title" if kind == "title" else "desc"
        element = ElementTree.Element(f"{{{SVG}}}{tag}", id=f"{name}-{kind}")
        element.text = text
        root.insert(i, element)
    svg = ElementTree.tostring(root, encoding="unicode")
    return Drawing(name, title, description, caption, command, svg)


def _own(key: str, value: str, name: str) -> str:
    """An attribute with ids of this figure and colours of the page."""
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", f"{{{XLINK}}}href"):
        return re.sub(r"^#", f"#{name}-", value)
    for colour, variable in VARIABLES.items():
        value = value.replace(colour, variable)
    return re.sub(r"url\(#", f"url(#{name}-", value)
