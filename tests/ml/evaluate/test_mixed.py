"""Models of which some layers run on gain cells."""

import json

import pytest
import torch

from common.errors import ArtefactError
from common.files import sha256, write_text
from ml.attention.surrogate import SurrogateOps
from ml.checkpoint import save_tensors
from ml.evaluate import mixed
from ml.evaluate.mixed import load_layerwise, measure
from ml.evaluate.perplexity import perplexity, texts_of
from ml.small.hardware_attention import on_hardware
from ml.small.model import LanguageModel, SoftmaxAttention, blocks
from ml.small.stages import origin_of
from tests.ml.conftest import TINY


@pytest.fixture
def student(teacher, tiny_spec) -> LanguageModel:
    """The teacher's weights on linear cells."""
    model = LanguageModel(TINY, on_hardware(tiny_spec.linearised(), SurrogateOps(), scaled=True))
    model.load_state_dict(teacher.state_dict(), strict=False)
    return model.requires_grad_(False)


@pytest.fixture
def texts(ids):
    return texts_of(ids.flatten(), TINY.context, 4)


def test_every_choice_of_layers_is_measured_from_the_teacher_to_the_student(
    teacher, student, texts
):
    found = measure(teacher, student, texts)
    assert [mix.layers for mix in found] == [(), (0,), (1,), (0, 1)]
    assert found[0].perplexity == perplexity(teacher, texts)
    assert found[3].perplexity == perplexity(student, texts)
    assert len({mix.perplexity for mix in found}) == 4
    assert found[1].ratio_to_teacher == found[1].perplexity / found[0].perplexity


def test_teacher_and_student_stay_as_they_are(teacher, student):
    model = mixed.mixed(teacher, student, (1,))
    assert isinstance(blocks(teacher)[1].attention, SoftmaxAttention)
    assert blocks(model)[1].attention is blocks(student)[1].attention
    assert isinstance(blocks(model)[0].attention, SoftmaxAttention)


def test_the_command_leaves_plot_and_result(
    teacher, student, texts, tiny_spec, tmp_path, monkeypatch
):
    stage = tmp_path / "layerwise.safetensors"
    origin = origin_of(sha256(write_text(tmp_path / "teacher", "weights")), tiny_spec)
    save_tensors(stage, student.state_dict(), {"kind": "stage", "origin": origin})
    loaded = load_layerwise(stage, teacher, tiny_spec, origin)
    assert torch.equal(loaded(texts[:, :-1]), student(texts[:, :-1]))
    monkeypatch.setattr(mixed, "find_spec", lambda _: tiny_spec)
    monkeypatch.setattr(mixed, "load_teacher", lambda _: teacher)
    monkeypatch.setattr(mixed.heldout, "load_joined", lambda: texts.flatten())
    out = tmp_path / "out"
    options = ["--stage", str(stage), "--teacher", str(tmp_path / "teacher")]
    options += ["--texts", "2", "--out", str(out)]
    assert mixed.main(options) == 0
    result = json.loads((out / "result.json").read_text())
    assert [row["layers"] for row in result["rows"]] == [[], [0], [1], [0, 1]]
    assert result["tokens"] == 2 * TINY.context
    assert (out / "mixed.png").stat().st_size > 10_000
    write_text(tmp_path / "teacher", "others")
    with pytest.raises(ArtefactError, match=r"layerwise\.safetensors: of another teacher or hard"):
        mixed.main(options)
