"""The training loop: schedule, resumption, Ctrl-C, and what it refuses."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.errors import ArtefactError
from common.interrupts import SIGNALS, Interrupted
from ml.checkpoint import load_tensors, save_tensors
from ml.errors import SettingError, TrainingError
from ml.evaluate.perplexity import logits_of, next_token_loss
from ml.train.command import new_model
from ml.train.loop import Run, Settings, fit, sample_batch
from tests.ml.families import SMALL

TOKENS = torch.randint(SMALL["vocab_size"], (2000,), generator=torch.Generator().manual_seed(3))
SETTINGS = Settings(
    steps=12, batch=4, learning_rate=1e-2, warmup_steps=3, validate_every=4, save_every=5
)


def new_run(path: Path, settings: Settings = SETTINGS) -> Run:
    return Run(new_model(1, **SMALL), settings, path)


def train(run: Run, stop_at: int | None = None, signum: int = signal.SIGINT) -> list[dict]:
    """Train `run`; at step `stop_at` get a signal."""
    records: list[dict] = []

    def loss_of(ids, step):
        if step == stop_at:
            os.kill(os.getpid(), signum)
        return next_token_loss(logits_of(run.module, ids[:, :-1]), ids[:, 1:])

    texts = sample_batch(TOKENS, SMALL["n_positions"], SETTINGS, 999)

    def validate() -> float:
        with torch.no_grad():
            return float(next_token_loss(logits_of(run.module, texts[:, :-1]), texts[:, 1:]))

    sample = lambda step: sample_batch(TOKENS, SMALL["n_positions"], run.settings, step)  # noqa: E731
    fit(run, loss_of, sample, validate, records.append)
    return records


@pytest.mark.parametrize(
    ("muon_rate", "signum"), [(None, signal.SIGTERM), (1e-2, signal.SIGINT), (None, signal.SIGHUP)]
)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(tmp_path, muon_rate, signum):
    settings = replace(SETTINGS, muon_rate=muon_rate)
    whole = new_run(tmp_path / "whole.safetensors", settings)
    train(whole)
    first = new_run(tmp_path / "parts.safetensors", settings)
    with pytest.raises(Interrupted) as stop:
        train(first, stop_at=6, signum=signum)
    assert stop.value.signum == signum
    second = new_run(tmp_path / "parts.safetensors", settings)
    assert second.resume() and second.progress.step == 7
    train(second)
    assert second.progress.best_loss == whole.progress.best_loss
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(second.module.state_dict()[name], tensor), name


def test_training_learns_and_keeps_the_best_weights(tmp_path):
    run = new_run(tmp_path / "state.safetensors")
    records = train(run)
    losses = {r["step"]: r["validation_loss"] for r in records if "validation_loss" in r}
    assert [record["step"] for record in records] == list(range(13))
    assert list(losses) == [0, 4, 8, 12]
    assert min(losses.values()) < losses[0]
    assert run.progress.best_loss == min(losses.values()) == losses[run.progress.best_step]


def test_worse_weights_are_not_kept(tmp_path):
    run = new_run(tmp_path / "state.safetensors")
    start = {name: t.clone() for name, t in run.module.state_dict().items()}
    losses = iter([1.0, 2.0, 3.0, 4.0])
    loss_of = lambda ids, _: next_token_loss(logits_of(run.module, ids[:, :-1]), ids[:, 1:])  # noqa: E731
    sample = lambda step: sample_batch(TOKENS, SMALL["n_positions"], SETTINGS, step)  # noqa: E731
    fit(run, loss_of, sample, lambda: next(losses), lambda _: None)
    assert all(torch.equal(t, start[name]) for name, t in run.module.state_dict().items())


def test_the_best_weights_survive_an_interruption(tmp_path):
    first = new_run(tmp_path / "state.safetensors")
    first.best = {name: tensor + 1 for name, tensor in first.best.items()}
    first.save()
    second = new_run(tmp_path / "state.safetensors")
    second.resume()
    assert all(torch.equal(second.best[name], tensor) for name, tensor in first.best.items())


def test_ctrl_c_is_ours_only_while_training(tmp_path):
    before = [signal.getsignal(signum) for signum in SIGNALS]
    train(new_run(tmp_path / "state.safetensors"))
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


def test_the_rate_warms_up_stays_and_falls_to_zero():
    settings = Settings(steps=100, learning_rate=2.0, warmup_steps=10, decay_fraction=0.5)
    assert settings.rate(0) == pytest.approx(0.2)
    assert settings.rate(9) == settings.rate(50) == 2.0
    assert settings.rate(75) == pytest.approx(1.0)
    assert settings.rate(100) == 0.0


def test_batches_depend_on_seed_and_step_alone():
    one, same, next_step = (sample_batch(TOKENS, 24, SETTINGS, step) for step in (5, 5, 6))
    assert torch.equal(one, same) and not torch.equal(one, next_step)
    assert one.shape == (4, 25)
    position = int((TOKENS.unfold(0, 25, 1) == one[0]).all(-1).nonzero()[0])
    assert torch.equal(TOKENS[position : position + 25].long(), one[0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps is 0, must be above 0"),
        ({"steps": 1, "learning_rate": -1.0}, "learning_rate is -1.0, must be above 0"),
        ({"steps": 1, "decay_fraction": 2.0}, r"decay_fraction is 2.0, must be in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(SettingError, match=f"^{message}$"):
        Settings(**values)


def test_a_run_does_not_continue_with_other_settings(tmp_path):
    path = tmp_path / "state.safetensors"
    new_run(path).save()
    other = new_run(path, Settings(steps=12, batch=4, learning_rate=2e-2, warmup_steps=3))
    with pytest.raises(SettingError, match=r"^learning_rate is 0\.02, but .* begun with 0\.01; "):
        other.resume()


def test_a_run_does_not_continue_as_another(tmp_path):
    path = tmp_path / "state.safetensors"
    module = torch.nn.Linear(2, 2)
    Run(module, SETTINGS, path, {"text": "one"}).save()
    with pytest.raises(SettingError, match=r"^text is two, but .* begun with one; "):
        Run(module, SETTINGS, path, {"text": "two"}).resume()


def test_frozen_parameters_are_not_in_the_state(tmp_path):
    module = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in ("layer", "other")})
    module["other"].requires_grad_(False)
    run = Run(module, SETTINGS, tmp_path / "state.safetensors")
    run.save()
    names = {name.partition(".")[2] for name in load_tensors(run.state_file)[0]}
    assert names == {"layer.weight", "layer.bias"}


def test_a_truncated_state_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    new_run(path).save()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ArtefactError, match="damaged or truncated"):
        new_run(path).resume()


@pytest.fixture
def state(tmp_path) -> Path:
    """The state of a run at its fifth step."""
    run = new_run(tmp_path / "state.safetensors", replace(SETTINGS, muon_rate=1e-2))
    with pytest.raises(KeyboardInterrupt):
        train(run, stop_at=4)
    return run.state_file


MATRIX, VECTOR = "transformer.h.0.attn.c_attn.weight", "transformer.ln_f.bias"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t, a: t.pop(f"model.{VECTOR}"), rf"tensor model\.{VECTOR} is missing$"),
        (lambda t, a: t.pop(f"best.{VECTOR}"), rf"tensor best\.{VECTOR} is missing$"),
        (lambda t, a: t.pop(f"exp_avg.{VECTOR}"), rf"tensor exp_avg\.{VECTOR} is missing$"),
        (
            lambda t, a: [t.pop(f"{k}.{VECTOR}") for k in ("exp_avg", "exp_avg_sq", "step")],
            rf"tensor exp_avg\.{VECTOR} is missing$",
        ),
        (
            lambda t, a: t.pop(f"momentum_buffer.{MATRIX}"),
            rf"tensor momentum_buffer\.{MATRIX} is missing$",
        ),
        (lambda t, a: t.update(odd=torch.zeros(1)), r"tensor odd is none of the model's$"),
        (
            lambda t, a: t.update({f"best.{VECTOR}": torch.zeros(3)}),
            rf"tensor best\.{VECTOR} has shape \(3,\), expected \(32,\)$",
        ),
        (lambda t, a: a.pop("progress"), r"progress: Field required$"),
        (
            lambda t, a: a["progress"].update(step="5"),
            r"progress\.step = '5': Input should be a va",
        ),
        (lambda t, a: a["progress"].update(step=-1), r"progress\.step = -1: Input should be grea"),
        (
            lambda t, a: a.update(settings=[]),
            r"settings = \[\]: Input should be a valid dictionary",
        ),
    ],
)
def test_a_state_that_is_not_whole_is_refused(edit, message, state):
    tensors, about = load_tensors(state)
    edit(tensors, about)
    save_tensors(state, tensors, about)
    run = new_run(state, replace(SETTINGS, muon_rate=1e-2))
    with pytest.raises(ArtefactError, match=rf"state\.safetensors: {message}"):
        run.resume()


def test_a_state_of_before_the_list_of_what_was_seen_goes_on(state):
    tensors, about = load_tensors(state)
    del about["remembered"]
    save_tensors(state, tensors, about)
    run = new_run(state, replace(SETTINGS, muon_rate=1e-2))
    assert run.resume() and run.progress.step == 5


def test_the_module_where_a_loss_stops_being_finite_is_named(tmp_path):
    run = new_run(tmp_path / "state.safetensors")
    run.module.get_parameter("transformer.h.1.mlp.c_fc.weight").data[0, 0] = torch.nan
    loss_of = lambda ids, _: next_token_loss(logits_of(run.module, ids[:, :-1]), ids[:, 1:])  # noqa: E731
    sample = lambda step: sample_batch(TOKENS, SMALL["n_positions"], SETTINGS, step)  # noqa: E731
    message = r"^step 0: the loss is not finite: transformer\.h\.1\.mlp\.c_fc: its output is not"
    with pytest.raises(TrainingError, match=message):
        fit(run, loss_of, sample, lambda: 1.0, lambda _: None)


def test_a_validation_that_is_not_finite_stops_the_run(tmp_path):
    run = new_run(tmp_path / "state.safetensors")
    with pytest.raises(TrainingError, match=r"^step 0: the validation loss is not finite$"):
        fit(run, lambda *_: torch.zeros(()), lambda _: TOKENS, lambda: torch.nan, lambda _: None)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    run = new_run(tmp_path / "state.safetensors")
    loss_of = lambda ids, step: torch.tensor(float("nan"), requires_grad=True)  # noqa: E731
    sample = lambda step: sample_batch(TOKENS, SMALL["n_positions"], SETTINGS, step)  # noqa: E731
    with pytest.raises(TrainingError, match=r"^step 0: the loss is not finite$"):
        fit(run, loss_of, sample, lambda: 1.0, lambda _: None)
    assert not run.state_file.exists()
