"""Answers of a model and of what it was adapted from."""

from typing import Any

import pytest
import torch

from common.errors import ArtefactError
from ml.errors import SettingError
from ml.evaluate import answer as module
from ml.evaluate.answer import answer, main
from ml.models.convert import convert
from tests.ml.tiny import tiny_model, tiny_spec, tiny_tokenizer


@pytest.fixture
def folders(tmp_path):
    """A base model and what it was converted to."""
    base = tiny_model()
    base.save_pretrained(tmp_path / "base")
    convert(base, tiny_spec()).save_pretrained(tmp_path / "adapted")
    for name in ("base", "adapted"):
        tiny_tokenizer().save_pretrained(tmp_path / name)
    return tmp_path


def likeliest(model: Any, tokenizer: Any, text: str, count: int) -> str:
    """One whole forward pass for each token."""
    ids = tokenizer(text)["input_ids"]
    for _ in range(count):
        ids = [*ids, int(model(torch.tensor([ids])).logits[0, -1].argmax())]
    return tokenizer.decode(ids[-count:], skip_special_tokens=True).strip()


def test_the_answer_is_the_likeliest_token_each_time():
    model, tokenizer = tiny_model(), tiny_tokenizer()
    assert answer(model, tokenizer, "the cat", 5) == likeliest(model, tokenizer, "the cat", 5)


def test_a_chat_template_is_used():
    model, tokenizer = tiny_model(), tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}ask {{ m['content'] }}, {% endfor %}"
    wanted = likeliest(model, tokenizer, "ask the cat, ", 5)
    assert answer(model, tokenizer, "the cat", 5) == wanted


def test_the_base_answers_first(folders, capsys):
    base, adapted = folders / "base", folders / "adapted"
    options = ["--model", str(adapted), "--base", str(base), "--prompt", "the cat"]
    assert main([*options, "--tokens", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "> the cat" and lines[2] == "teacher:" and f"{adapted}:" in lines
    assert lines.index("teacher:") < lines.index(f"{adapted}:")


def test_without_a_base_the_adapted_model_answers_alone(folders, capsys):
    assert main(["--model", str(folders / "adapted"), "--tokens", "1"]) == 0
    assert "teacher" not in capsys.readouterr().out


def test_smollm2_brings_its_own_base(folders):
    with pytest.raises(SettingError, match="leave it out with smollm2"):
        main(["--base", str(folders / "base")])


def test_smollm2_answers_as_teacher_and_at_each_stage(monkeypatch, tmp_path, capsys):
    (tmp_path / "linear").touch()
    deltas = {"linear": tmp_path / "linear", "cubic": tmp_path / "none"}
    monkeypatch.setattr(module.evaluate, "DELTAS", deltas)
    monkeypatch.setattr(module, "find_base", lambda _: (tiny_model(), tiny_tokenizer()))
    monkeypatch.setattr(module, "load_delta", lambda path, base: base)
    assert main(["--tokens", "1"]) == 0
    printed = capsys.readouterr().out
    assert "teacher:" in printed and "linear:" in printed and "cubic:" not in printed


def test_the_shipped_model_answers_beside_its_teacher(capsys):
    assert main(["--model", "shipped", "--prompt", "And God said", "--tokens", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.index("teacher:") < lines.index("shipped:")
    assert all(lines[lines.index(f"{name}:") + 1].strip() for name in ("teacher", "shipped"))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ArtefactError, match="none: no such model; give shipped, smollm2,"):
        main(["--model", str(tmp_path / "none")])
