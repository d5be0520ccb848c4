"""A page as a tree of elements, as the standard library's parser sees it."""

from collections.abc import Iterator
from html.parser import HTMLParser

__all__ = ["Element", "parse"]

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Element:
    def __init__(self, tag, attributes=()):
        self.tag, self.attributes = tag, dict(attributes)
        self.children: list[Element | str] = []

    def __iter__(self) -> Iterator["Element"]:
        """The element itself and all below it."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    def all(self, *tags):
        return [element for element in self if element.tag in tags]

    def get(self, name):
        return self.attributes.get(name)

    @property
    def text(self) -> str:
        parts = (c.text if isinstance(c, Element) else c for c in self.children)
        return " ".join("".join(parts).split())


class _Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Element("document")]
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs)
        self.open[-1].children.append(element)
        if "id" in element.attributes:
            self.ids.append(element.attributes["id"])
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parse(text: str) -> tuple[Element, list[str]]:
    """The tree, and every id in order. Fails where an end tag does not fit."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert len(parser.open) == 1, f"<{parser.open[-1].tag}> is not closed"
    return parser.open[0], parser.ids
