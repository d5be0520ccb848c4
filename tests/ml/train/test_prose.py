"""Modern text from Debian packages: what is read of a page, and what is written down."""

from pathlib import Path

import pytest

from common.files import read_json, sha256
from ml.errors import CorpusError
from ml.train import prose
from ml.train.prose import Kind, text_of_page, write

LONG = "This is a sentence of sixty characters or more, so that it counts as prose."
BROKEN = LONG.replace(" or ", "  <b>or</b>\n  ")
PAGE = f"""<html><head><title>{LONG}</title><style>p {{}}</style></head><body>
<nav><p>{LONG}</p></nav><h1>A short heading</h1>
<p>{BROKEN}</p><ul><li>one<li>{LONG} Also <i>this</i>.</ul><pre>{LONG}</pre>
<table><tr><td>{LONG}</td></tr></table><p>5 &lt; 6 &mdash; {LONG}</p>end</body></html>"""


def test_a_page_gives_its_paragraphs_and_list_entries_one_a_line():
    lines = text_of_page(PAGE).splitlines()
    assert lines == [LONG, f"{LONG} Also this.", f"5 < 6 — {LONG}"]


@pytest.mark.parametrize("start", ["</table></nav><p>", "<head><title>A page<body><p>"])
def test_tags_that_do_not_pair_swallow_nothing(start):
    assert text_of_page(f"{start}{LONG}") == LONG


@pytest.fixture
def packages(monkeypatch):
    """A package `faq` that is unpacked already, and its archive beside it."""

    def unpack(package: str, scratch: Path) -> Path:
        root = scratch / package
        root.mkdir()
        (root / "b.html").write_text(f"<p>Second. {LONG}</p>")
        (root / "a.html").write_text(f"<p>First. {LONG}</p>")
        (scratch / f"{package}_1.2_all.deb").touch()
        return root

    monkeypatch.setattr(prose, "unpack_debian", unpack)
    monkeypatch.setattr(prose, "run_tool", lambda *_: "1.2\n")


def test_text_package_licence_and_digest_are_written(packages, tmp_path):
    write(tmp_path, (Kind("questions", "faq", "GPL-2", ("*.html",)),))
    text = (tmp_path / "questions.txt").read_text()
    assert text == f"First. {LONG}\n\nSecond. {LONG}\n"
    assert read_json(tmp_path / "prose.json") == {
        "questions.txt": {
            "package": "Debian faq 1.2",
            "licence": "GPL-2",
            "characters": len(text),
            "sha256": sha256(tmp_path / "questions.txt"),
        }
    }
    assert {path.name for path in tmp_path.iterdir()} == {"questions.txt", "prose.json"}


def test_a_package_without_those_pages_is_named(packages, tmp_path):
    with pytest.raises(CorpusError, match=r"^faq: has no doc/\*\.html$"):
        write(tmp_path, (Kind("questions", "faq", "GPL-2", ("doc/*.html",)),))


def test_there_are_five_kinds_of_different_names():
    assert len({kind.name for kind in prose.KINDS}) == len(prose.KINDS) == 5
