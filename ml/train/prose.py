"""Modern text, unlike the corpus: what a model that learnt on the corpus has there.

    python -m ml.train.prose [--out FOLDER]
    make eval MODEL=smollm2 TEXT=FOLDER

Writes one file for each kind of text, `essays.txt` and so on, and `prose.json`, which names the
Debian packages that they come from, versions, licences and digests. The packages are unpacked,
never installed. The text is that of paragraphs and list entries, one a line; what is shorter than
a sentence, as headings and lists of contents are, is left out.
"""

import argparse
import hashlib
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import run_command
from common.files import write_json, write_text
from ml.errors import CorpusError
from ml.train.sources import run_tool, unpack_debian

FOLDER = Path("build/prose")
SHORTEST = 60  # characters of a line
BLOCKS = frozenset(("p", "li", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "div"))
UNREAD = frozenset(("script", "style", "head", "nav", "pre", "table"))


class Kind(NamedTuple):
    """One kind of text. pages: the HTML pages of the Debian package, patterns in its files."""

    name: str
    package: str
    licence: str
    pages: tuple[str, ...]


KINDS = (
    Kind("essays", "anarchism", "GPL-2", ("usr/share/doc/anarchism/html/sec*.html",)),
    Kind("faq", "debian-faq", "free, its own notice", ("usr/share/doc/debian/FAQ/*.en.html",)),
    Kind("manual", "aptitude-doc-en", "GPL-2+", ("usr/share/doc/aptitude/html/en/[cp]*.html",)),
    Kind("policy", "debian-policy", "GPL-2+", ("usr/share/doc/debian-policy/policy.html/ch-*",)),
    Kind("standards", "gnu-standards", "GFDL-1.3+", ("usr/share/doc/gnu-standards/*.html",)),
)


class _Reader(HTMLParser):
    """Gathers the text of a page, one line for each block; nothing of what is no prose."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._words: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread = 0 if tag == "body" else self._unread + (tag in UNREAD)
        if tag in BLOCKS:
            self.end_line()

    def handle_endtag(self, tag: str) -> None:
        self._unread = max(0, self._unread - (tag in UNREAD))
        if tag in BLOCKS:
            self.end_line()

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._words.append(data)

    def end_line(self) -> None:
        """What was read since the last block is a line of its own."""
        line = " ".join("".join(self._words).split())
        if len(line) >= SHORTEST:
            self.lines.append(line)
        self._words = []


def text_of_page(html: str) -> str:
    """The prose of an HTML page, one line for each paragraph and list entry."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.end_line()
    return "\n".join(reader.lines)


def fetch(kind: Kind, scratch: Path) -> tuple[str, str]:
    """Text of a kind, and the version of its package, unpacked below `scratch`.

    Raises CorpusError where Debian does not have it, or has it without those pages.
    """
    root = unpack_debian(kind.package, scratch)
    pages = sorted({page for pattern in kind.pages for page in root.glob(pattern)})
    if not pages:
        raise CorpusError(f"{kind.package}: has no {', '.join(kind.pages)}")
    archive = next(scratch.glob(f"{kind.package}_*.deb"))
    version = run_tool(
        ["dpkg-deb", "--field", archive.name, "Version"], scratch, "dpkg is Debian's"
    )
    texts = (text_of_page(page.read_text("utf-8", errors="replace")) for page in pages)
    return "\n\n".join(text for text in texts if text) + "\n", version.strip()


def write(folder: Path, kinds: tuple[Kind, ...] = KINDS) -> dict[str, dict[str, Any]]:
    """Write every kind of text below `folder`; what prose.json says. Raises CorpusError."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for kind in kinds:
            text, version = fetch(kind, Path(scratch))
            path = write_text(folder / f"{kind.name}.txt", text)
            about[path.name] = {
                "package": f"Debian {kind.package} {version}",
                "licence": kind.licence,
                "characters": len(text),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
            }
    write_json(folder / "prose.json", about)
    return about


def main(argv: list[str] | None = None) -> int:
    """Command line: write the kinds of text."""
    parser = argparse.ArgumentParser(
        prog="ml.train.prose",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help=f"folder to write ({FOLDER})")
    options = parser.parse_args(argv)
    for name, about in write(options.out).items():
        print(f"{name:14} {about['characters']:10,} characters  {about['package']}")
    print(f"next: make eval MODEL=smollm2 TEXT={options.out}")
    return 0


if __name__ == "__main__":
    run_command(main)
