"""Texts as tokens: files, splits, the cache."""

import pytest
import torch
from tokenizers import normalizers

from common.errors import ArtefactError
from ml.checkpoint import load_tensors, save_tensors
from ml.errors import CorpusError
from ml.models.folders import load_tokenizer
from ml.models.shipped import ADAPTED
from ml.train import own_text as text_module
from ml.train import tokenizer
from ml.train.own_text import check_ids, encode, heldout_ids, read
from tests.ml.tiny import tiny_tokenizer


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


def test_tokens_of_another_tokenizer_with_the_same_vocabulary_are_not_taken(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("a line\n" * 100)
    first = encode(read(str(path)), tiny_tokenizer(), tmp_path)
    other = tiny_tokenizer()
    other.backend_tokenizer.normalizer = normalizers.Replace("e", "o")
    second = encode(read(str(path)), other, tmp_path)
    assert first.digest == second.digest and not torch.equal(first.train, second.train)
    assert torch.equal(encode(read(str(path)), tiny_tokenizer(), tmp_path).train, first.train)


def test_cached_tokens_that_are_none_are_refused(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("a line\n" * 100)
    encode(read(str(path)), tiny_tokenizer(), tmp_path)
    (cached,) = tmp_path.glob("tokens-*.safetensors")
    tensors, about = load_tensors(cached)
    for broken in ({"train": tensors["train"]}, tensors | {"train": -tensors["train"]}):
        save_tensors(cached, broken, about)
        with pytest.raises(
            ArtefactError, match=rf"{cached}: tensor \w+(: needs token ids| has id)"
        ):
            encode(read(str(path)), tiny_tokenizer(), tmp_path)


def test_ids_beyond_the_vocabulary_are_refused(llama):
    tokenizer = tiny_tokenizer()
    check_ids(torch.tensor([0, 31]), tokenizer, llama)
    check_ids(torch.tensor([], dtype=torch.int32), tokenizer, llama)
    llama.config.vocab_size = 31
    message = r"its tokenizer has token ',' with id 31, but .* ends at 30 \(vocab_size = 31 in"
    with pytest.raises(CorpusError, match=message):
        check_ids(torch.tensor([0, 31]), tokenizer, llama)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_what_is_no_text_is_named(tmp_path, content):
    path = tmp_path / "file.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"file\.txt: (no text; give 'corpus'|not UTF-8 text)"):
        read(str(path))


def test_the_heldout_text_is_ours_in_other_tokens(monkeypatch):
    ours, theirs = tokenizer.load(), tiny_tokenizer()
    parts = {n: torch.tensor([*ours.encode(n).ids, 0]) for n in ("one day", "another day")}
    monkeypatch.setattr(text_module.heldout, "load", lambda: parts)
    ids = heldout_ids(theirs).tolist()
    end = theirs.eos_token_id
    assert ids == [*theirs.encode("another day"), end, *theirs.encode("one day"), end]


def test_in_our_own_tokens_it_is_what_ships():
    assert torch.equal(
        heldout_ids(load_tokenizer(ADAPTED)).long(), text_module.heldout.load_joined()
    )
