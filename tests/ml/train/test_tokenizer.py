"""The shipped tokenizer."""

from pathlib import Path

import pytest

from ml.errors import CorpusError
from ml.train import heldout, tokenizer


def test_it_has_2048_entries_and_every_byte():
    bpe = tokenizer.load()
    assert bpe.get_vocab_size() == tokenizer.VOCABULARY == 2048
    assert bpe.token_to_id(tokenizer.END_OF_TEXT) == 0


def test_any_text_survives_the_round_trip():
    text = "To be, or not to be:\n\n  zx~{}|\\ é ☃ 0123"
    bpe = tokenizer.load()
    assert bpe.decode(bpe.encode(text).ids) == text


def test_it_compresses_the_heldout_text():
    ids = heldout.load()["king_james"][:2000].tolist()
    text = tokenizer.load().decode(ids)
    assert len(text) > 2.5 * len(ids)
    assert tokenizer.encode(tokenizer.load(), {"a": text}).tolist()[:1000] == ids[:1000]


def test_training_is_deterministic():
    texts = ["the quick brown fox jumps over the lazy dog " * 20]
    assert tokenizer.train(texts).to_str() == tokenizer.train(texts).to_str()


def test_missing_and_damaged_files_are_named(tmp_path: Path):
    damaged = tmp_path / "tokenizer.json"
    damaged.write_text('{"version": ')
    for path in (damaged, tmp_path / "none.json"):
        with pytest.raises(CorpusError, match=rf"^{path}: not a tokenizer file"):
            tokenizer.load(path)
