"""The tokens that training reads."""

import json

import torch

from ml import corpus, train


def test_tokens_are_cached_until_the_text_changes(tmp_path, monkeypatch):
    def write(words: str) -> None:
        text = corpus.Corpus({"a": words}, {"a": "two"}, {"a": "three"})
        (tmp_path / "corpus.json").write_text(json.dumps(vars(text)))

    write("one and one")
    first = train.load_tokens(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(train.tokenizer, "encode", lambda *_: 1 / 0)
        again = train.load_tokens(tmp_path)
    assert first.keys() == again.keys() == {"train", "validation", "heldout"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    write("one and one and one")
    assert len(train.load_tokens(tmp_path)["train"]) > len(first["train"])
