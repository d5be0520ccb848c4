"""The soak: right answers, faults that are kept, and interruptions that lose nothing."""

import json
import signal
import sys

import pytest

from cosim.closure import soak
from cosim.closure.soak import State
from tests.running import Running

IDENTITY = "0123456789abcdef"


def run(monkeypatch, build, *arguments):
    monkeypatch.setattr(
        sys, "argv", ["soak", "--sim", "icarus", "--build", str(build), *map(str, arguments)]
    )
    return soak.main()


def result(build):
    return json.loads((build / "soak" / "result.json").read_text())


def test_random_tokens_run_without_a_fault(monkeypatch, tmp_path):
    assert run(monkeypatch, tmp_path, "--tokens", 250, "--job-tokens", 100) == 0
    found = result(tmp_path)
    assert (found["tokens"], found["jobs"], found["mismatches"]) == (250, 3, 0)
    assert found["tokens_per_second"] > 1


def test_a_fault_is_reported_with_its_seed(monkeypatch, tmp_path, capsys):
    wrong = {7: "token 3: wrong count"}
    monkeypatch.setattr(soak, "fault_of_job", lambda compiled, seed, *_: wrong.get(seed, ""))
    assert run(monkeypatch, tmp_path, "--tokens", 30, "--job-tokens", 10, "--seed", 5) == 1
    assert "FAULT seed 7: token 3: wrong count" in capsys.readouterr().out
    assert result(tmp_path)["faults"] == ["seed 7: token 3: wrong count"]


def test_a_soak_goes_on_where_it_was_but_not_with_another_seed(monkeypatch, tmp_path):
    seeds = []

    def note(compiled, seed, tokens):
        if len(seeds) == 2:
            raise KeyboardInterrupt
        seeds.append((seed, tokens))
        return ""

    monkeypatch.setattr(soak, "fault_of_job", note)
    arguments = ("--tokens", 45, "--job-tokens", 10, "--workers", 1)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, tmp_path, *arguments)
    assert seeds == [(0, 10), (1, 10)]
    seeds.append(None)
    assert run(monkeypatch, tmp_path, *arguments) == 0
    assert seeds[3:] == [(2, 10), (3, 10), (4, 5)]
    assert run(monkeypatch, tmp_path, *arguments) == 0 and len(seeds) == 6
    assert run(monkeypatch, tmp_path, *arguments, "--seed", 1) == 0 and len(seeds) == 11


def test_a_longer_soak_repeats_only_the_job_that_was_cut_short(monkeypatch, tmp_path):
    seeds = []
    monkeypatch.setattr(soak, "fault_of_job", lambda compiled, seed, *_: seeds.append(seed) or "")
    run(monkeypatch, tmp_path, "--tokens", 25, "--job-tokens", 10)
    run(monkeypatch, tmp_path, "--tokens", 40, "--job-tokens", 10)
    assert sorted(seeds[:3]) == [0, 1, 2] and sorted(seeds[3:]) == [2, 3]
    assert result(tmp_path)["tokens"] == 40


@pytest.mark.parametrize(
    "content",
    ['{"identity": "x", "do', '{"identity": "0123456789abcdef", "done": {"0": -1}}', "[]", ""],
)
def test_a_damaged_state_is_kept_beside_a_fresh_one(tmp_path, capsys, content):
    path = tmp_path / "state.json"
    path.write_text(content)
    assert State.load(path, IDENTITY).tokens == 0
    assert (tmp_path / "state.damaged1.json").read_text() == content and not path.exists()
    assert "it is kept as state.damaged1.json" in capsys.readouterr().err
    assert State.load(tmp_path / "none.json", IDENTITY).tokens == 0


def test_a_soak_that_another_one_came_between_goes_on(monkeypatch, tmp_path, capsys):
    seeds = []
    monkeypatch.setattr(soak, "fault_of_job", lambda compiled, seed, *_: seeds.append(seed) or "")
    for seed in (0, 5, 0):
        run(monkeypatch, tmp_path, "--tokens", 20, "--job-tokens", 10, "--seed", seed)
    assert sorted(seeds) == [0, 1, 5, 6]
    assert capsys.readouterr().err.count("of another run; it is kept as state.") == 2


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_jobs_that_are_done(signum, tmp_path):
    arguments = ["--build", tmp_path, "--job-tokens", 50, "--workers", 1]
    with Running("cosim.closure.soak", "--sim", "icarus", *arguments) as process:
        assert process.process.stderr is not None
        assert any("50/1,000,000 tokens" in line for line in process.process.stderr)
        stderr = process.end(signum)
    assert stderr.splitlines()[-1].startswith("interrupted") and "Traceback" not in stderr
    done = json.loads((tmp_path / "soak" / "state.json").read_text())["done"]
    assert done and set(done.values()) == {50}
