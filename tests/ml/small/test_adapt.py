"""The stages of the adaptation, end to end on a tiny model."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from common.errors import ArtefactError
from common.files import sha256
from ml.evaluate.perplexity import mean_loss
from ml.small import adapt as adapt_module
from ml.small.adapt import Adaptation, adapt, export, load_stage
from ml.small.control import train_control
from ml.small.hardware_attention import attention_layers
from ml.small.losses import distillation_loss
from ml.small.shipped import load_adapted, load_trained_on
from ml.train.loop import Settings
from tests.ml.conftest import TINY


@pytest.fixture
def work(teacher, tiny_spec, ids, tmp_path, monkeypatch) -> Adaptation:
    """Few steps on tokens that repeat, so that there is something to learn."""
    monkeypatch.setattr(adapt_module, "VALIDATION_TEXTS", 8)
    settings = Settings(
        steps=6, batch=4, learning_rate=3e-3, warmup_steps=2, validate_every=3, save_every=3
    )
    tokens = ids.flatten().repeat(3)
    return Adaptation(
        teacher.requires_grad_(False),
        "0" * 64,
        tiny_spec,
        {"train": tokens, "validation": tokens},
        dict.fromkeys(adapt_module.TRAINED_STAGES, settings),
        tmp_path / "adapt",
    )


def test_all_stages_run_and_the_export_loads(work, tmp_path, ids):
    model = adapt(work)
    names = sorted(path.name for path in work.folder.glob("*.safetensors"))
    stages = ("cubic", "init", "layerwise", "linear", "matched", "published")
    assert names == [f"{name}.safetensors" for name in stages]
    out = tmp_path / "adapted.safetensors"
    export(work, model, out)
    shipped = load_adapted(work.spec, out, TINY)
    assert all(layer.scalers is None for layer in attention_layers(shipped))
    assert mean_loss(shipped, ids) == pytest.approx(mean_loss(model, ids), abs=0.05)


def test_export_describes_itself_in_json(work, tmp_path):
    out = tmp_path / "adapted.safetensors"
    export(work, adapt(work), out)
    text = out.with_suffix(".json").read_text()
    assert work.spec.hash in text and '"teacher_sha256": "' + "0" * 64 in text


def test_words_may_be_those_of_a_better_teacher(work, tmp_path, monkeypatch):
    train_control(work)
    heard = set()

    def listen(student, teacher, ids):
        heard.add(float(teacher.tokens.weight.sum()))
        return distillation_loss(student, teacher, ids)

    monkeypatch.setattr(adapt_module, "distillation_loss", listen)
    words = work.stages.file("control-linear")
    model = adapt(replace(work, words=words))
    assert heard == {float(load_trained_on(words, work.teacher).tokens.weight.sum())}
    export(replace(work, words=words), model, tmp_path / "adapted.safetensors")
    assert f'"words_sha256": "{sha256(words)}"' in (tmp_path / "adapted.json").read_text()


def test_layer_wise_training_touches_attention_only(work):
    work.settings["layerwise"] = replace(work.settings["layerwise"], steps=15)
    adapt(work)
    before, after = (
        load_stage(work, name, work.spec).state_dict() for name in ("init", "layerwise")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(".attention." in name for name in changed)


def test_finished_stages_are_not_repeated(work, monkeypatch):
    adapt(work)
    monkeypatch.setattr(adapt_module, "fit", lambda *_: pytest.fail("stage repeated"))
    adapt(work)


def test_ctrl_c_in_a_stage_changes_nothing_in_the_end(work, tmp_path, monkeypatch):
    whole = adapt(work).state_dict()
    other = replace(work, folder=tmp_path / "other")
    calls = 0

    def press_ctrl_c(*arguments):
        nonlocal calls
        calls += 1
        if calls == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return distillation_loss(*arguments)

    monkeypatch.setattr(adapt_module, "distillation_loss", press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        adapt(other)
    assert (other.folder / "linear.state.safetensors").exists()
    resumed = adapt(other).state_dict()
    assert calls == 12
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


@pytest.mark.parametrize("what", ["teacher", "hardware"])
def test_stages_of_another_teacher_or_hardware_are_refused(work, what):
    adapt(work)
    other = replace(work, teacher_sha256="1" * 64)
    if what == "hardware":
        other = replace(work, spec=work.spec.replace(converter__a_sat=30.0))
    with pytest.raises(ArtefactError, match=r"init\.safetensors: of another teacher or hardware; "):
        adapt(other)


def test_a_damaged_stage_is_named(work):
    adapt(work)
    path = work.stages.file("cubic")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ArtefactError, match=r"cubic\.safetensors: damaged or truncated"):
        adapt(work)
