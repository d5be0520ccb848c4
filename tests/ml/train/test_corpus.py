"""The corpus: cleaning, deduplication, the split, and what happens without tools."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from common.errors import ArtefactError
from ml.errors import CorpusError
from ml.train import corpus, heldout
from ml.train.sources import SOURCES, Source, plain_verse, r_strings, unpack_debian

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]


def numbered_text(lines: int) -> str:
    """Lines that all differ: line i is about word i."""
    return "".join(f"line {i} tells of {WORDS[i % len(WORDS)]} and {i * i}\n" for i in range(lines))


def test_clean_keeps_plain_ascii_only():
    assert corpus.clean("\ufeff“A”  _b_—c\r\n\x07é\td") == '"A" b--c\n d'


def test_duplicates_are_dropped_and_new_text_is_kept():
    one, two = " ".join(WORDS[:40]), " ".join(WORDS[100:140])
    shifted = "New beginning. " + one.upper()
    assert corpus.deduplicate([one, two, shifted, one], set()) == [one, two]


def test_duplicates_are_found_across_sources():
    seen: set[tuple[str, ...]] = set()
    text = " ".join(WORDS[:40])
    assert corpus.deduplicate([text], seen) == [text]
    assert corpus.deduplicate([text], seen) == []


def test_split_is_a_partition_into_contiguous_blocks():
    text = numbered_text(5000)
    parts = corpus.split(text)
    assert sum(map(len, parts.values())) == len(text)
    lines = {name: part.splitlines() for name, part in parts.items()}
    assert sorted(line for part in lines.values() for line in part) == sorted(text.splitlines())
    for name, blocks in (("heldout", corpus.HELD_OUT_BLOCKS), ("validation", (5, 30))):
        numbers = [int(line.split()[1]) for line in lines[name]]
        jumps = sum(b != a + 1 for a, b in pairwise(numbers))
        assert jumps == len(blocks) - 1
        assert len(parts[name]) == pytest.approx(len(text) * len(blocks) / corpus.BLOCKS, rel=0.02)


def test_build_is_deterministic_and_leaks_nothing(tmp_path: Path):
    def read(_: Path) -> Iterator[str]:
        yield numbered_text(3000)

    source = Source("numbers", "none", "none", read)
    first, second = (corpus.build(tmp_path, [source]) for _ in range(2))
    assert first == second and first.digest() == second.digest()
    heldout_lines = set(first.heldout["numbers"].splitlines())
    assert heldout_lines and not heldout_lines & set(first.train["numbers"].splitlines())


def test_load_uses_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    built = corpus.Corpus({"a": "train"}, {"a": "validation"}, {"a": "held out"})
    monkeypatch.setattr(corpus, "build", lambda _folder: built)
    assert corpus.load(tmp_path / "cache") == built
    monkeypatch.setattr(corpus, "build", lambda _folder: pytest.fail("cache not used"))
    assert corpus.load(tmp_path / "cache") == built


def test_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusError, match=r"^apt-get not found: the text of bible-kjv-text comes"):
        unpack_debian("bible-kjv-text", tmp_path)


def test_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tool = tmp_path / "apt-get"
    tool.write_text("#!/bin/sh\necho 'first' >&2\necho 'E: no network' >&2\nexit 100\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(CorpusError) as caught:
        unpack_debian("bible-kjv-text", tmp_path)
    assert "E: no network" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "bible-kjv-text").exists()


def test_a_damaged_cache_is_named_and_kept(tmp_path):
    path = tmp_path / "corpus.json"
    for content, message in (
        ('{"train": {}', "not JSON"),
        ("[]", "needs an object, has list"),
        ('{"train": {}, "validation": {}}', "heldout: Field required"),
        ('{"train": {"a": 3}, "validation": {}, "heldout": {}}', "train.a = 3: Input should be"),
    ):
        path.write_text(content)
        with pytest.raises(ArtefactError) as error:
            corpus.load(tmp_path)
        assert f"{path}: {message}" in str(error.value) and path.read_text() == content


def r_vector(*strings: str) -> bytes:
    """A character vector as R serialises it."""
    number = lambda n: n.to_bytes(4, "big")  # noqa: E731
    body = b"".join(number(0x00040009) + number(len(s)) + s.encode() for s in strings)
    head = b"X\n" + number(3) + number(0x040201) + number(0x030500) + number(5) + b"UTF-8"
    return head + number(16) + number(len(strings)) + body


def test_r_strings_are_read_back():
    assert r_strings(r_vector("EMMA", "", "By Jane Austen")) == ["EMMA", "", "By Jane Austen"]


def test_other_r_objects_are_refused():
    data = bytearray(r_vector("EMMA"))
    data[26] = 13  # an integer vector
    with pytest.raises(CorpusError, match="not a serialised R character vector"):
        r_strings(bytes(data))


def test_verse_loses_layout_only():
    assert (
        plain_verse("  I, WHO erewhile\n\n\n\nBy proof     10\n") == "I, WHO erewhile\n\nBy proof"
    )


@pytest.mark.slow
def test_the_shipped_heldout_text_is_of_this_corpus(tmp_path: Path):
    built = corpus.build(tmp_path, SOURCES)
    heldout.write(built, tmp_path / "heldout.safetensors")
    fresh, shipped = heldout.load(tmp_path / "heldout.safetensors"), heldout.load()
    assert {n: t.tolist() for n, t in fresh.items()} == {n: t.tolist() for n, t in shipped.items()}
