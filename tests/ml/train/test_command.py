"""The training of the teacher: its beginning, its record, and what it writes."""

import pytest
import torch

from common.files import read_json
from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.evaluate.perplexity import logits_of
from ml.models.shipped import RUN, WEIGHTS, find_base
from ml.train import command, heldout, tokenizer
from ml.train.command import export, new_model, own_tokenizer, train
from ml.train.loop import Settings
from ml.train.own_text import Text, ids_of
from tests.ml.families import SMALL

SETTINGS = Settings(steps=2, batch=3, muon_rate=1e-2, validate_every=1, save_every=1)
START = {"sha256": "0" * 64, "run": {"tokens_seen": 1000}}


@pytest.fixture
def text(ids, monkeypatch) -> Text:
    monkeypatch.setattr(command, "VALIDATION_TEXTS", 4)
    return Text(ids.flatten(), ids.flatten(), ids.flatten(), "digest")


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (new_model(seed, **SMALL).transformer.wte.weight for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_residual_projections_begin_smaller_by_depth():
    model = new_model(1, **SMALL | {"n_embd": 128})
    plain, residual = (getattr(model.transformer.h[0].mlp, n).weight for n in ("c_fc", "c_proj"))
    assert plain.std().item() == pytest.approx(0.02, rel=0.05)
    assert residual.std().item() == pytest.approx(0.02 / 4**0.5, rel=0.05)


def test_a_run_on_from_a_teacher_counts_its_tokens_and_is_not_mixed_up_with_others(text, tmp_path):
    model = new_model(1, **SMALL)
    run = train(model, text, SETTINGS, tmp_path, START)
    out = tmp_path / "teacher"
    export(run, model, "text", out, tmp_path)
    record = read_json(out / RUN)
    assert record == read_json(tmp_path / RUN)
    assert record["tokens_seen"] == 1000 + 2 * 3 * SMALL["n_positions"]
    assert record["start"] == START and record["model"]["width"] == SMALL["n_embd"]
    with pytest.raises(SettingError, match=r"start is .*1.*, but .* was begun with .*0"):
        train(model.float(), text, SETTINGS, tmp_path, START | {"sha256": "1" * 64})


def test_what_is_written_is_found_again(text, tmp_path, ids):
    model = new_model(1, **SMALL)
    run = train(model, text, SETTINGS, tmp_path)
    export(run, model, "text", tmp_path / "teacher", tmp_path)
    tensors, _ = load_tensors(tmp_path / "teacher" / WEIGHTS)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    found, bpe = find_base(tmp_path / "teacher")
    assert torch.equal(logits_of(found, ids[:, :-1]), logits_of(model.float(), ids[:, :-1]))
    assert bpe.get_vocab() == own_tokenizer().get_vocab()


def test_the_tokenizer_of_transformers_gives_the_same_tokens():
    own, text = tokenizer.load(), tokenizer.load().decode(heldout.load()["austen"].tolist()[:5000])
    expected = tokenizer.encode(own, {"a": text, "b": "And so."}).tolist()
    assert ids_of({"a": text, "b": "And so."}, own_tokenizer()).tolist() == expected
