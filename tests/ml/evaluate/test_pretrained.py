"""The evaluation of a pretrained model, on a tiny one in its place."""

import pytest
import torch

from common.files import read_json
from ml.attention.backend import DEFAULT
from ml.attention.heads import using
from ml.errors import SettingError
from ml.evaluate import pretrained as evaluate
from ml.evaluate.command import main
from ml.evaluate.imperfect import Conditions
from ml.evaluate.perplexity import perplexity, texts_of
from ml.evaluate.table import SMOLLM2, Report
from ml.models import convert, heads_of
from ml.models.delta import save_delta
from ml.train.own_text import END_OF_TEXT
from tests.ml import tiny as tiny_models


class Characters:
    """A tokenizer of characters."""

    eos_token_id = 1

    def get_vocab(self):
        return {END_OF_TEXT: 0}

    def __call__(self, text, **_):
        return {"input_ids": [ord(c) for c in text]}


@pytest.fixture
def tiny(llama, hf_spec, hf_ids, tmp_path, monkeypatch):
    """The tiny model in place of SmolLM2, adapted to the linear cell only."""
    deltas = {stage: tmp_path / f"{stage}.safetensors" for stage in ("linear", "cubic")}
    run = {"rows": [{"stage": "linear", "tokens_used": 70, "wall_time_s": 5.5}]}
    save_delta(deltas["linear"], llama, convert(llama, hf_spec, "linear"), run=run)
    monkeypatch.setattr(evaluate, "DELTAS", deltas)
    monkeypatch.setattr(evaluate, "CONTEXT", 19)
    monkeypatch.setattr(evaluate.smollm2, "load", lambda: (llama, Characters()))
    monkeypatch.setattr(evaluate, "heldout_ids", lambda _: hf_ids.flatten())
    return llama


def test_all_stages_that_are_there(tiny, hf_spec, capsys):
    report = Report()
    evaluate.evaluate(hf_spec, report, 2)
    assert [row.stage for row in report.rows] == ["teacher", "naive", "linear"]
    assert {row.model for row in report.rows} == {SMOLLM2}
    assert [row[-2:] for row in report.rows] == [(0, 0.0), (0, 0.0), (70, 5.5)]
    assert report.models[SMOLLM2]["tokens"] == 2 * 19
    assert report.models[SMOLLM2]["sha256"].keys() == {"linear.safetensors"}
    assert "cubic" in capsys.readouterr().out


def test_each_file_of_a_folder_is_a_kind_of_text(tiny, hf_spec, tmp_path, capsys):
    (tmp_path / "one.txt").write_text("".join(chr(2 + i % 40) for i in range(90)))
    (tmp_path / "two.txt").write_text("".join(chr(2 + i * i % 40) for i in range(60)))
    report = Report()
    evaluate.evaluate(hf_spec, report, 3, tmp_path)
    kinds = ["one", "two"]
    assert [(r.stage, r.text) for r in report.rows] == [
        (stage, text) for stage in ("teacher", "naive", "linear") for text in kinds
    ]
    about = report.models[SMOLLM2]
    assert about["texts"]["one"]["tokens"] == about["texts"]["two"]["tokens"] == 3 * 19
    assert about["tokens"] == 2 * 3 * 19
    for row in report.rows:
        base = next(r for r in report.rows if (r.stage, r.text) == ("teacher", row.text))
        assert row.ratio_to_teacher == row.perplexity / base.perplexity
    assert "cubic" in capsys.readouterr().out


def test_a_file_that_is_too_short_is_named(tiny, hf_spec, tmp_path):
    (tmp_path / "short.txt").write_text("\2\3\4")  # of the vocabulary
    with pytest.raises(SettingError, match=r"short\.txt: has 4 tokens, needs 20 or more"):
        evaluate.evaluate(hf_spec, Report(), 1, tmp_path)


def test_perplexity_is_that_of_transformers(llama, hf_ids):
    texts = texts_of(hf_ids.flatten(), 19, 3)
    with torch.no_grad():
        losses = [float(llama(t[None], labels=t[None]).loss) for t in texts]
    seen: list[int] = []
    found = perplexity(llama, texts, seen.append)
    assert found == pytest.approx(torch.tensor(losses).mean().exp().item(), rel=1e-5)
    assert seen == [3]  # at once: they are short


def test_naive_is_the_base_on_the_cubic_cell(tiny, hf_spec, hf_ids):
    naive = list(evaluate.stages(tiny, hf_spec))[1]
    assert (naive.name, naive.file) == ("naive", None)
    model = naive.make()
    assert all(heads.spec == hf_spec for heads in heads_of(model))
    logits = model(hf_ids, use_cache=False).logits
    with using(model, DEFAULT):  # that is exact
        exact = model(hf_ids, use_cache=False).logits
    assert (logits - exact).abs().mean() < 1e-3 < (logits - tiny(hf_ids).logits).abs().mean()


def test_the_last_stage_is_measured_on_imperfect_hardware_too(tiny, hf_spec, monkeypatch):
    report = Report()
    monkeypatch.setattr(evaluate, "CONTEXT", 16)  # the window
    evaluate.evaluate(hf_spec, report, 2, conditions=Conditions("typical", 3, 5))
    last, imperfect = report.rows[-2:]
    assert (last.stage, imperfect.stage) == ("linear", "linear, imperfect")
    assert imperfect.perplexity != last.perplexity
    assert imperfect[-2:] == last[-2:] == (70, 5.5)
    about = report.models[SMOLLM2]["imperfections"]
    assert about == {"overlay": "typical", "device": 3, "seed": 5}
    other = Report()
    evaluate.evaluate(hf_spec, other, 2, conditions=Conditions("typical", 4, 5))
    assert other.rows[-1].perplexity != imperfect.perplexity


def test_a_model_in_a_folder_is_compared_with_its_base(adapted_folder, tmp_path, capsys):
    base, out = tmp_path / "base", tmp_path / "result.json"
    tiny_models.tiny_model().save_pretrained(base)
    tiny_models.tiny_tokenizer().save_pretrained(base)
    options = ["--model", str(adapted_folder), "--texts", "2", "--out", str(out)]
    assert main([*options, "--base", str(base), "--imperfections", "typical"]) == 0
    result = read_json(out)
    assert [row["stage"] for row in result["rows"]] == ["teacher", "cubic", "cubic, imperfect"]
    teacher = result["rows"][0]["perplexity"]
    for row in result["rows"]:
        assert row["ratio_to_teacher"] == row["perplexity"] / teacher
        assert (row["model"], row["preset"]) == (adapted_folder.name, "tiny")
    assert result["models"][adapted_folder.name]["context"] == 32
    capsys.readouterr()
    assert main(options) == 0
    (row,) = read_json(out)["rows"]
    assert row["ratio_to_teacher"] is None
    assert capsys.readouterr().out.splitlines()[3].split()[2] == "-"
