"""The whole adaptation of a tiny model: its stages, its resumption, and its ranks."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from common.errors import ArtefactError
from ml.adapt.arguments import DEFAULT_STAGES
from ml.adapt.command import main
from ml.adapt.journal import read_log
from ml.adapt.work import TRAINED
from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.models import GainCellLlamaForCausalLM
from tests.ml.tiny import CONTEXT, tiny_spec, write_tiny

STEPS, BATCH = 6, 2
OPTIONS = [
    f"--context={CONTEXT}",
    f"--tokens={STEPS * BATCH * CONTEXT}",
    "--learning-rate=layerwise=3e-3",
    "--muon=layerwise=0",
    "--refit-texts=4",
    "--calibration-texts=4",
    "--validate-every=3",
    "--save-every=2",
    "--validation-texts=4",
    "--mlp-rank=2",
    "--threads=1",
]
WAIT_S = 300
OTHER_PROCESS = """
import os, signal, sys
from ml.adapt import command as adapt
from ml.adapt import journal

*common, ranks_out, killed_out, batch = sys.argv[1:]
half = [f"--out={ranks_out}", f"--batch={int(batch) // 2}", "--stages=init,layerwise,refit,linear"]
adapt.main([*common, *half])

report = journal.Journal.report
def kill(self, record):
    report(self, record)
    if (self.stage, record["step"]) == ("linear", 5):
        os.kill(os.getpid(), signal.SIGKILL)

journal.Journal.report = kill
os.environ["WORLD_SIZE"] = "1"
adapt.main([*common, f"--out={killed_out}", f"--batch={batch}"])
"""


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    """Matching would take most of the time; training below takes one thread for itself."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.adapt.following.MAX_STEPS", 8)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> list[str]:
    return write_tiny(tmp_path_factory.mktemp("inputs")) + OPTIONS


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory) -> Path:
    """The folder of a run of all stages, in one piece."""
    folder = tmp_path_factory.mktemp("finished")
    main([*inputs, f"--out={folder}", f"--batch={BATCH}"])
    return folder


@pytest.fixture(scope="module")
def with_another(inputs, tmp_path_factory) -> tuple[Path, Path]:
    """Folders of a run of two ranks, and of one that was killed after step 5 of `linear`.

    One other process, because to import torch takes longer than all the rest: rank 1, then the run
    that is killed, after a step that was logged but not saved.
    """
    together, killed = tmp_path_factory.mktemp("together"), tmp_path_factory.mktemp("killed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    arguments = [*inputs, str(together), str(killed), str(BATCH)]
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, *arguments], env={**os.environ, **ranks, "RANK": "1"}
    )
    stages = "--stages=init,layerwise,refit,linear"
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**ranks, "RANK": "0"}.items():
                patch.setenv(name, value)
            patch.setattr("ml.adapt.command.write_plots", lambda folder: [])
            main([*inputs, f"--out={together}", f"--batch={BATCH // 2}", stages])
        assert other.wait(WAIT_S) == -signal.SIGKILL
    finally:
        other.kill()
    return together, killed


def losses(folder: Path) -> dict[tuple[str, int], tuple]:
    """Training and validation loss of every step."""
    records = [record for record in read_log(folder) if "step" in record]
    found = {
        (r["stage"], r["step"]): (r.get("train_loss"), r.get("validation_loss")) for r in records
    }
    assert len(found) == len(records)
    return found


@pytest.fixture
def no_plots(monkeypatch):
    """They take longer than the rest of a run in which nothing is left to do."""
    monkeypatch.setattr("ml.adapt.command.write_plots", lambda folder: [])


def test_the_model_that_is_written_has_the_last_stages_weights(finished, inputs):
    model = GainCellLlamaForCausalLM.from_pretrained(finished / "model")
    assert model.config.stage == "cubic" and model.config.codes_hash == tiny_spec().codes_hash
    tensors, _ = load_tensors(finished / "stages/cubic.safetensors")
    for i in range(model.config.num_hidden_layers):
        attention = model.get_submodule(f"model.layers.{i}.self_attn")
        for name, tensor in attention.state_dict().items():
            assert torch.equal(tensor, tensors[f"{i}.{name}"]), name
    base = LlamaForCausalLM.from_pretrained(inputs[0].partition("=")[2])
    name = "model.layers.0.mlp.up_proj"
    update = tensors[f"{name}.up"] @ tensors[f"{name}.down"]
    assert update.abs().max() > 1e-4
    change = model.get_parameter(f"{name}.weight") - base.get_parameter(f"{name}.weight")
    torch.testing.assert_close(change.detach(), update, rtol=1e-3, atol=1e-6)


def test_the_run_describes_itself(finished):
    run = json.loads((finished / "run.json").read_text())
    assert [row["stage"] for row in run["rows"]] == ["teacher", *DEFAULT_STAGES]
    steps = [row["tokens_used"] / (BATCH * CONTEXT) for row in run["rows"]]
    assert steps == [0, 0, STEPS, STEPS, 2 * STEPS, 2 * STEPS, 3 * STEPS]
    assert run["codes_hash"] == tiny_spec().codes_hash
    for name in ("loss.png", "perplexity.png", "layers.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")
    assert len(list(finished.glob("tensorboard/*/events.*"))) == 3


def test_every_step_is_logged_and_training_helps(finished):
    found = losses(finished)
    assert list(found) == [(stage, step) for stage in TRAINED for step in range(STEPS + 1)]
    assert found["layerwise", STEPS][0] < 0.8 * found["layerwise", 1][0]
    errors = {r["stage"]: r["layer_errors"] for r in read_log(finished) if "layer_errors" in r}
    assert list(errors) == DEFAULT_STAGES and all(len(e["stream"]) == 2 for e in errors.values())


def test_a_killed_run_ends_like_one_in_a_piece(finished, with_another, inputs, no_plots):
    _, folder = with_another
    assert list(losses(folder))[-1] == ("linear", 5)
    main([*inputs, f"--out={folder}", f"--batch={BATCH}"])
    assert losses(folder) == losses(finished)
    whole, parts = (load_tensors(f / "stages/cubic.safetensors")[0] for f in (finished, folder))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_two_ranks_do_what_one_does(finished, with_another):
    together, alone = losses(with_another[0]), losses(finished)
    assert together.keys() == {key for key in alone if key[0] != "cubic"}
    for (stage, step), pair in together.items():
        # Rounding to codes makes the last bit of a sum matter more with every step.
        tolerance = 2e-3 if stage == "layerwise" and step <= 2 else 0.3
        for value, other in zip(pair, alone[stage, step], strict=True):
            assert value == other or value == pytest.approx(other, rel=tolerance), (stage, step)


def test_finished_stages_are_not_repeated(finished, inputs, monkeypatch, capsys, no_plots):
    before = (finished / "log.jsonl").read_text()
    monkeypatch.setattr("ml.adapt.stages.train_stage", lambda *_: pytest.fail("stage repeated"))
    monkeypatch.setattr("ml.adapt.stages.MAKERS", {})
    main([*inputs, f"--out={finished}", f"--batch={BATCH}"])
    assert sorted((finished / "log.jsonl").read_text()) == sorted(before)
    assert capsys.readouterr().out.count("is finished") == len(DEFAULT_STAGES)


def test_a_run_can_begin_with_a_stage_of_another(finished, inputs, tmp_path, no_plots):
    start = f"--start=linear={finished / 'stages/linear.safetensors'}"
    main([*inputs, f"--out={tmp_path}", start, "--stages=init,linear,matched"])
    names = sorted(path.stem for path in (tmp_path / "stages").iterdir())
    assert names == ["linear", "matched"]
    own, theirs = (load_tensors(f / "stages/matched.safetensors")[0] for f in (tmp_path, finished))
    assert all(torch.equal(own[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--no-mixing"], ArtefactError, "init.safetensors: of another teacher or hardware"),
        (["--spec=leroux2025"], ArtefactError, "init.safetensors: of another teacher"),
        (["--stages=init,linear"], ArtefactError, "began with refit .*, not with init"),
        (["--tokens=10"], SettingError, "tokens is 10 for layerwise, must be at least one step"),
        (["--tokens=cubic=10"], SettingError, "tokens is 10 for cubic"),
        (["--positive-share=2"], SettingError, r"positive_share is 2.0, must be in \(0, 1\)"),
        (["--base=none"], ArtefactError, "none: no such model; give shipped, smollm2, or a folder"),
        (["--start=linear"], SettingError, "start is 'linear', must be STAGE=FILE"),
        (["--spec=none.json"], Exception, "none.json"),
    ],
)
def test_what_does_not_fit_is_refused(finished, inputs, options, error, message):
    with pytest.raises(error, match=message):
        main([*inputs, f"--out={finished}", *options])


def test_stages_need_one_before(inputs, tmp_path):
    with pytest.raises(SettingError, match=r"begin with linear, but .* holds no stage before it"):
        main([*inputs, f"--out={tmp_path}", "--stages=linear"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--stages=init,none", "no such stage: none"),
        ("--tokens=none=3", "no such stage: none"),
        ("--tokens=linear=x", "'x': needs a whole number"),
        ("--context=0", "'0': needs a whole number from 2 up"),
        ("--batch=0", "'0': needs a whole number from 1 up"),
        ("--threads=-3", "'-3': needs a whole number from 0 up"),
    ],
)
def test_bad_options_are_named(option, message, capsys, tmp_path):
    with pytest.raises(SystemExit):
        main([f"--out={tmp_path}", option])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_torchrun_starts_the_same_command(inputs, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, "-m", "ml.adapt", *inputs, f"--out={tmp_path}", "--batch=1"]
    subprocess.run(command, check=True, timeout=WAIT_S)
    assert (tmp_path / "run.json").exists()
