"""The teacher trained as long as the adaptation, its words, and models of which all learns."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.errors import ArtefactError
from common.files import read_json, sha256
from ml.adapt.command import main
from ml.adapt.control import control_settings
from ml.adapt.journal import read_log
from ml.adapt.work import CONTROL
from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.models.folders import load_converted
from ml.models.shipped import RUN, find_model
from ml.train.command import new_model
from ml.train.loop import Settings
from tests.ml.tiny import CONTEXT, VOCABULARY, tiny_tokenizer, write_tiny

STEPS, BATCH = 4, 2
OPTIONS = [
    f"--context={CONTEXT}",
    f"--batch={BATCH}",
    f"--tokens={STEPS * BATCH * CONTEXT}",
    "--learning-rate=3e-3",
    "--muon=0",
    "--train=all",
    "--hidden-weight=0",
    "--text-weight=0.5",
    "--calibration-texts=4",
    "--validate-every=2",
    "--save-every=2",
    "--validation-texts=4",
    "--threads=1",
]
STAGES = ["init", "layerwise", "linear", "published", "matched", "cubic"]
WORDS = "stages/control-linear.safetensors"


@pytest.fixture(scope="module", autouse=True)
def quick():
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.adapt.following.MAX_STEPS", 4)
        patch.setattr("ml.adapt.command.write_plots", lambda folder: [])
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> list[str]:
    """A GPT-2 as base: what the shipped model is."""
    folder = tmp_path_factory.mktemp("inputs")
    options = write_tiny(folder)
    sizes = {"n_positions": CONTEXT, "n_embd": 128, "n_layer": 2, "n_head": 2}
    base = new_model(3, vocab_size=VOCABULARY, **sizes)
    base.save_pretrained(folder / "gpt2")
    tiny_tokenizer().save_pretrained(folder / "gpt2")
    return [f"--base={folder / 'gpt2'}", *options[1:], *OPTIONS]


@pytest.fixture(scope="module")
def control(inputs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("control")
    main([*inputs, f"--out={folder}", "--control"])
    return folder


@pytest.fixture(scope="module")
def adapted(inputs, control) -> Path:
    """In the same folder, with the words of the control."""
    options = [f"--stages={','.join(STAGES)}", f"--fold={control / 'folded'}"]
    main([*inputs, f"--out={control}", f"--words={control / WORDS}", *options])
    return control


def test_it_sees_as_many_tokens_more_gently_first():
    plain = Settings(steps=7, learning_rate=3e-3, muon_rate=2e-2)
    given = {"layerwise": replace(plain, steps=2), "linear": plain, "cubic": replace(plain, seed=9)}
    linear, cubic = control_settings(given).values()
    assert linear == replace(plain, steps=9, learning_rate=1.5e-3, muon_rate=1e-2)
    assert cubic == given["cubic"]


def test_it_learns_from_the_text_and_each_stage_from_the_one_before(control):
    run = read_json(control / "control.json")
    assert [row["stage"] for row in run["rows"]] == ["teacher", *CONTROL]
    assert run["rows"][-1]["perplexity"] < 0.95 * run["rows"][0]["perplexity"]
    assert run["rows"][-1]["tokens_used"] == 3 * STEPS * BATCH * CONTEXT
    starts = [load_tensors(control / f"stages/{n}.safetensors")[1]["start"] for n in CONTROL]
    assert starts[0] is None and starts[1]["stage"] == CONTROL[0]
    records = [r for r in read_log(control) if r["stage"] in CONTROL and "step" in r]
    assert all("divergence" not in record for record in records)


def test_all_of_it_learns_and_is_kept(control, adapted):
    for name in ("control-cubic", "cubic"):
        tensors, _ = load_tensors(control / f"stages/{name}.safetensors")
        base, _ = load_tensors(control / "stages/control-linear.safetensors")
        assert {n for n in base if "heads" not in n} <= tensors.keys()
        assert "transformer.wte.weight" in tensors and "transformer.h.1.mlp.c_fc.bias" in tensors
    for name in ("init", "layerwise"):  # attention alone
        tensors, _ = load_tensors(adapted / f"stages/{name}.safetensors")
        assert all(n.split(".")[0].isdigit() for n in tensors), name


def test_the_model_that_is_written_has_all_that_was_learned(adapted):
    model, tensors = (
        load_converted(adapted / "model"),
        load_tensors(adapted / "stages/cubic.safetensors")[0],
    )
    own = dict(model.named_parameters())
    for name, tensor in tensors.items():
        layer, _, rest = name.partition(".")
        full = f"transformer.h.{layer}.attn.{rest}" if layer.isdigit() else name
        assert torch.equal(own[full], tensor), name
    folded = find_model(adapted / "folded").model
    assert folded.config.mixing is False and folded.dtype == torch.float64
    run = read_json(adapted / "folded" / RUN)
    assert run == read_json(adapted / RUN)
    assert run["words_sha256"] == sha256(adapted / WORDS)
    assert run["tokens_seen"] == dict.fromkeys(
        ("layerwise", "linear", "cubic"), STEPS * BATCH * CONTEXT
    )


def test_matching_does_not_begin_with_the_published_stage(adapted):
    starts = {
        name: load_tensors(adapted / f"stages/{name}.safetensors")[1]["start"]["stage"]
        for name in ("published", "matched", "cubic")
    }
    assert starts == {"published": "linear", "matched": "linear", "cubic": "matched"}


def test_finished_stages_are_not_repeated(adapted, inputs, monkeypatch, capsys):
    monkeypatch.setattr("ml.adapt.control.train_stage", lambda *_: pytest.fail("stage repeated"))
    main([*inputs, f"--out={adapted}", "--control"])
    assert capsys.readouterr().out.count("is finished") == len(CONTROL)


def test_words_change_what_is_learned(adapted, inputs, tmp_path):
    start = f"--start=layerwise={adapted / 'stages/layerwise.safetensors'}"
    main([*inputs, f"--out={tmp_path}", start, "--stages=linear"])
    own, theirs = (load_tensors(f / "stages/linear.safetensors")[0] for f in (tmp_path, adapted))
    assert any(not torch.equal(own[name], theirs[name]) for name in theirs)


def test_what_does_not_fit_is_refused(inputs, control, tmp_path):
    with pytest.raises(SettingError, match=r"^mlp_rank is 2, must be 0 where train is 'all'$"):
        main([*inputs, f"--out={tmp_path}", "--mlp-rank=2"])
    words = f"--words={control / WORDS}"
    with pytest.raises(ArtefactError, match=r"control-linear\.safetensors: of another teacher or"):
        main([*inputs, f"--out={tmp_path}", words, "--no-mixing", "--stages=init,linear"])
