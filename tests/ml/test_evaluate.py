"""The evaluation of the stages."""

import argparse

import pytest
import torch

from analog_models.errors import ArtefactError
from ml import heldout
from ml.evaluate import evaluate, naive_swap, without_attention
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
        "cubic, before matching",
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
