"""The teacher trained as long as the adaptation: the same tokens, rates and order of batches."""

from dataclasses import replace

import pytest
import torch

from ml.evaluate.perplexity import mean_loss
from ml.small import adapt as adapt_module
from ml.small import control as control_module
from ml.small.adapt import TRAINED_STAGES, Adaptation
from ml.small.control import settings_of, train_control
from ml.train.loop import Settings

SETTINGS = Settings(
    steps=6,
    batch=4,
    learning_rate=3e-3,
    warmup_steps=2,
    muon_rate=2e-2,
    validate_every=3,
    save_every=3,
)


@pytest.fixture
def work(teacher, tiny_spec, ids, tmp_path, monkeypatch) -> Adaptation:
    monkeypatch.setattr(adapt_module, "VALIDATION_TEXTS", 8)
    tokens = ids.flatten().repeat(3)
    settings = {
        name: replace(SETTINGS, steps=steps, seed=steps)
        for name, steps in zip(TRAINED_STAGES, (2, 7, 5), strict=True)
    }
    return Adaptation(
        teacher.requires_grad_(False),
        "0" * 64,
        tiny_spec,
        {"train": tokens, "validation": tokens},
        settings,
        tmp_path / "adapt",
    )


def test_it_sees_as_many_tokens_more_gently_first(work):
    linear, cubic = settings_of(work)
    gentler = {"learning_rate": 1.5e-3, "muon_rate": 1e-2}
    assert linear == replace(work.settings["linear"], steps=9, **gentler)
    assert cubic == work.settings["cubic"]


def test_it_learns_from_the_teacher_on_and_each_stage_from_the_one_before(work):
    before = mean_loss(work.teacher, work.tokens["train"][:400].view(16, 25))
    model = train_control(work)
    assert mean_loss(model, work.tokens["train"][:400].view(16, 25)) < before - 0.02
    starts = [work.stages.load(name)[1]["start"] for name in control_module.STAGES]
    assert starts[0] is None and starts[1]["stage"] == "control-linear"


def test_finished_stages_are_not_repeated(work, monkeypatch):
    whole = train_control(work).state_dict()
    work.stages.file("control-cubic").unlink()
    again = train_control(work).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
    monkeypatch.setattr(adapt_module, "fit", lambda *_: pytest.fail("stage repeated"))
    train_control(work)
