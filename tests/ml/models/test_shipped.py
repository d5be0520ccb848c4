"""The checkpoints that ship: finite, of this hardware, as good as claimed."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from common.errors import ArtefactError
from common.files import read_json, sha256
from ml.attention.surrogate import SurrogateOps
from ml.checkpoint import load_tensors
from ml.evaluate.command import CARD_FILE, EVALUATION_FILE, OTHER_TEXT_FILES, without_attention
from ml.evaluate.model_card import model_card
from ml.evaluate.perplexity import mean_loss, texts_of
from ml.models.shipped import ADAPTED, CHECKPOINTS, TEACHER, load_adapted, load_teacher
from ml.train import heldout

TEXTS = 10


@pytest.fixture(scope="module")
def texts() -> torch.Tensor:
    return texts_of(heldout.load_joined(), 256, TEXTS)


@pytest.fixture(scope="module")
def teacher_loss(texts) -> float:
    return mean_loss(load_teacher(), texts)


@pytest.fixture(scope="module")
def adapted_loss(texts) -> float:
    from analog_models.spec import load_preset

    return mean_loss(load_adapted(load_preset(), ops=SurrogateOps()).float(), texts)


def test_both_are_finite_and_in_half_precision():
    for path in (TEACHER, ADAPTED):
        tensors, _ = load_tensors(path)
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


def test_the_adapted_one_is_of_the_preset(spec):
    assert load_tensors(ADAPTED)[1]["codes_hash"] == spec.codes_hash
    described = read_json(ADAPTED.with_suffix(".json"))
    assert described["codes_hash"] == spec.codes_hash and described["sha256"] == sha256(ADAPTED)


def test_it_was_adapted_from_the_shipped_teacher():
    assert load_tensors(ADAPTED)[1]["run"]["teacher_sha256"] == sha256(TEACHER)


def test_another_hardware_is_refused_in_one_line(spec):
    other = spec.replace(name="other", converter__s_sat=81.0)
    with pytest.raises(ArtefactError) as caught:
        load_adapted(other)
    message = (
        f"adapted to a specification of codes {spec.codes_hash}, but other has {other.codes_hash}"
    )
    assert str(caught.value) == f"{ADAPTED}: {message}"


def test_checkpoints_cannot_be_confused(spec):
    with pytest.raises(ArtefactError, match=r"kind is 'teacher', expected 'adapted'$"):
        load_adapted(spec, TEACHER)
    with pytest.raises(ArtefactError, match=r"kind is 'adapted', expected 'teacher'$"):
        load_teacher(ADAPTED)


def test_nan_in_weights_is_refused(spec, tmp_path):
    tensors, about = load_tensors(ADAPTED)
    tensors["norm.bias"][3] = float("nan")
    save_file(tensors, tmp_path / "a.safetensors", {"about": json.dumps(about)})
    with pytest.raises(ArtefactError, match=r"tensor norm\.bias holds a value that is not finite$"):
        load_adapted(spec, tmp_path / "a.safetensors")


def test_adapted_perplexity_is_within_a_twentieth_of_the_teachers(teacher_loss, adapted_loss):
    assert math.exp(teacher_loss) < 60
    assert math.exp(adapted_loss - teacher_loss) <= 1.05


def test_attention_matters_in_both(spec, texts, teacher_loss, adapted_loss):
    for model, loss in (
        (load_teacher(), teacher_loss),
        (load_adapted(spec).float(), adapted_loss),
    ):
        assert math.exp(mean_loss(without_attention(model), texts) - loss) >= 1.5


def test_the_recorded_evaluation_is_of_these_checkpoints(spec):
    record = read_json(EVALUATION_FILE)
    assert record["codes_hash"] == spec.codes_hash
    assert record["sha256"] == {TEACHER.name: sha256(TEACHER), ADAPTED.name: sha256(ADAPTED)}
    ratio = record["perplexity"]["cubic, adapted"] / record["perplexity"]["teacher"]
    assert ratio <= 1.02


def test_the_model_card_is_made_from_the_evaluations():
    other = {name: read_json(path) for name, path in OTHER_TEXT_FILES.items()}
    assert CARD_FILE.read_text() == model_card(read_json(EVALUATION_FILE), **other)


def test_the_records_on_other_text_are_of_the_checkpoints_that_ship(spec):
    for name, path in OTHER_TEXT_FILES.items():
        result = read_json(path)
        (about,) = result["models"].values()
        assert result["codes_hash"] == spec.codes_hash and len(about["texts"]) >= 3
        for file, digest in about["sha256"].items():
            assert digest == sha256(CHECKPOINTS / file), name


@pytest.mark.parametrize(("stage", "least"), [("linear", 2.5), ("cubic", 3.0)])
def test_the_card_says_what_smollm2_lost_on_other_text(stage, least):
    """A model that is better there makes this fail, and the words of the card out of date."""
    rows = read_json(OTHER_TEXT_FILES["smollm2"])["rows"]
    ratios = [row["ratio_to_teacher"] for row in rows if row["stage"] == stage]
    assert len(ratios) == 5 and min(ratios) > least
    card = CARD_FILE.read_text()
    assert all(f"{ratio:.3f}" in card for ratio in ratios)


@pytest.mark.slow
def test_the_recorded_perplexities_are_reproduced(spec):
    record = read_json(EVALUATION_FILE)
    all_texts = texts_of(heldout.load_joined(), 256, record["tokens"] // 256)
    for name, model in (
        ("teacher", load_teacher().double()),
        ("cubic, adapted", load_adapted(spec)),
    ):
        measured = math.exp(mean_loss(model, all_texts))
        assert measured == pytest.approx(record["perplexity"][name], rel=1e-4)
