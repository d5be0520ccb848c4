"""The command as a user runs it."""

import csv
import json
import signal

import pytest

from analog_models.spec import load_preset
from common.errors import run_command
from common.files import write_json
from estimate.sweep.command import main
from tests.running import Running

SMALL = (
    *("--tokens", "20", "--subtile", "8", "16", "--window", "16", "1024", "--q-levels", "16"),
    *("--kv-levels", "8", "1", "--out-bits", "4", "--workers", "1"),
)


def sweep(folder, *arguments):
    assert main([*SMALL, "--build", str(folder), *arguments]) == 0
    with (folder / "sweep" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((folder / "sweep" / "result.json").read_text())


def test_every_design_is_a_line_and_the_best_are_on_the_front(tmp_path, capsys):
    rows, result = sweep(tmp_path)
    assert len(rows) == 3 * 2 * 2 * 2 * 2
    refused = [row for row in rows if row["refused"]]
    assert len(refused) == len(rows) / 2 and all(row["error"] == "" for row in refused)
    assert all("levels.kv = 1" in row["refused"] for row in refused)
    front = [row for row in rows if row["pareto"] == "True"]
    assert result["designs"] == 24 and len(result["front"]) == len(front) > 0
    assert result["refused"] == {refused[0]["refused"]: 24}
    assert result["git"] is not None and result["spec_hash"] == load_preset().hash
    assert result["here"] is None  # its sub-tile is not among them
    assert {row["window"] for row in front} == {"16", "1024"}
    for suffix in ("png", "svg"):
        assert (tmp_path / "sweep" / f"sweep.{suffix}").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "24 designs" in printed and "refused 24: levels.kv = 1" in printed


@pytest.fixture
def no_plots(monkeypatch):
    monkeypatch.setattr("estimate.sweep.command.plot", lambda points, here, path: path)


@pytest.mark.usefixtures("no_plots")
def test_costs_do_not_follow_the_leakage_but_errors_do(tmp_path):
    rows, _ = sweep(tmp_path, "--kv-levels", "8", "--leakage", "0", "0.1")
    assert len(rows) == 24
    for least, most in zip(rows[::2], rows[1::2], strict=True):
        assert least["leakage"] == "0.0" and most["leakage"] == "0.1"
        assert least["energy_j"] == most["energy_j"]
        assert float(least["error"]) < float(most["error"])


@pytest.mark.usefixtures("no_plots")
def test_what_is_known_is_not_computed_again(tmp_path, monkeypatch, capsys):
    before, _ = sweep(tmp_path)
    monkeypatch.setattr("estimate.sweep.run.attention_error", None)
    after, result = sweep(tmp_path, "--given", "leakage", "--objectives", "energy", "error")
    assert "errors: 8/8 were known" in capsys.readouterr().err
    assert [row["error"] for row in after] == [row["error"] for row in before]
    assert result["given"] == ["leakage"] and set(result["objectives"]) == {"energy", "error"}
    assert sum(row["pareto"] == "True" for row in after) < sum(
        row["pareto"] == "True" for row in before
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--schedule", "fast"), "no schedule 'fast': there are leroux2025"),
        (("--kv-levels", "1"), "no design is possible; the first: levels.kv = 1"),
        (("--golden", "none"), "none/manifest.json: No such file or directory"),
        (("--spec", "none.json"), "none.json: no such file, and no preset: leroux2025"),
        (("--measured", "none.json"), "none.json: No such file or directory"),
        (("--window", "0"), "'0': needs a whole number from 1 up"),
        (("--leakage", "much"), "argument --leakage: 'much': needs a finite number"),
        (("--leakage", "inf"), "argument --leakage: 'inf': needs a finite number"),
        (("--seed", "-1"), "argument --seed: '-1': needs a whole number from 0 up"),
        (("--tokens", "99999"), "tokens = 99999: allowed up to 128"),
        (("--out-bits", "100000000"), "levels.out_magnitude_bits = 100000000: Input should be"),
        (("--objectives", "beauty"), "argument --objectives: invalid choice: 'beauty'"),
    ],
)
def test_an_error_says_what_is_wrong(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        run_command(lambda: main([*SMALL, "--build", str(tmp_path), *arguments]))
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_a_specification_of_another_shape_is_refused(tmp_path, capsys):
    path = tmp_path / "wide.json"
    write_json(path, load_preset().replace(name="wide", geometry__head_dim=128).to_tree())
    with pytest.raises(SystemExit):
        run_command(lambda: main([*SMALL, "--build", str(tmp_path), "--spec", str(path)]))
    assert "geometry.head_dim = 128: the text has 64" in capsys.readouterr().err


def test_the_help_names_every_axis(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    printed = capsys.readouterr().out
    assert exit_.value.code == 0
    for axis in ("schedule", "subtile", "window", "q-levels", "kv-levels", "out-bits", "leakage"):
        assert f"--{axis} " in printed


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_command(signum, tmp_path):
    with Running("estimate", "sweep", "--workers", 2, "--build", tmp_path) as running:
        running.wait_for("python", count=3)  # two, and what looks after their semaphores
        said = running.end(signum)
    if signum != signal.SIGKILL:
        assert running.process.returncode == 128 + signum
        assert said.splitlines()[-1].endswith("; the same command goes on from there")
