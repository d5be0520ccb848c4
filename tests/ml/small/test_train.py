"""The tokens that training reads."""

import json

import pytest
import torch

from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.small import train
from ml.train import corpus
from ml.train.loop import Settings
from tests.ml.conftest import TINY


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


def test_a_run_on_from_a_teacher_counts_its_tokens_and_is_not_mixed_up_with_others(
    teacher, ids, tmp_path, monkeypatch
):
    monkeypatch.setattr(train, "VALIDATION_TEXTS", 4)
    tokens = {"train": ids.flatten(), "validation": ids.flatten()}
    settings = Settings(steps=2, batch=3, muon_rate=1e-2, validate_every=1, save_every=1)
    start = {"sha256": "0" * 64, "run": {"tokens_seen": 1000}}
    run = train.train(teacher, tokens, settings, tmp_path, start)
    train.export(run, teacher, "text", tmp_path / "teacher.safetensors", tmp_path)
    _, about = load_tensors(tmp_path / "teacher.safetensors")
    assert about["run"]["tokens_seen"] == 1000 + 2 * 3 * TINY.context
    assert about["run"]["start"] == start
    with pytest.raises(SettingError, match=r"start is .*1.*, but .* was begun with .*0"):
        train.train(teacher, tokens, settings, tmp_path, start | {"sha256": "1" * 64})
