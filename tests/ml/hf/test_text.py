"""Texts as tokens: files, splits, the cache."""

import pytest

from ml.errors import CorpusError
from ml.hf import text as text_module
from ml.hf.text import encode, read
from tests.ml.hf.tiny import tiny_tokenizer


def test_files_of_a_folder_become_splits_with_an_end_each(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"{name} line\n" * 100)
    (tmp_path / "other.md").write_text("not text")
    source = read(str(tmp_path))
    assert list(source.train) == ["a.txt", "b.txt"]
    tokens = encode(source, tiny_tokenizer(), tmp_path / "cache")
    assert len(tokens.validation) == 2 * (4 * len("a line\n") + 1)
    assert [int(i) for i in (tokens.validation == 1).nonzero()] == [28, 57]


def test_tokens_are_cached_by_text_and_vocabulary(tmp_path, monkeypatch):
    path = tmp_path / "one.txt"
    path.write_text("a line\n" * 100)
    first = encode(read(str(path)), tiny_tokenizer(), tmp_path)
    monkeypatch.setattr(text_module, "ids_of", lambda *_: pytest.fail("encoded again"))
    assert encode(read(str(path)), tiny_tokenizer(), tmp_path).digest == first.digest
    path.write_text("b line\n" * 100)
    with pytest.raises(BaseException, match="encoded again"):
        encode(read(str(path)), tiny_tokenizer(), tmp_path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_what_is_no_text_is_named(tmp_path, content):
    path = tmp_path / "file.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"file\.txt: (no text; give 'corpus'|not UTF-8 text)"):
        read(str(path))
