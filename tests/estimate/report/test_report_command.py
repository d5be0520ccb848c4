"""The command as a user runs it."""

import json
import subprocess
import sys

from analog_models.spec import load_preset
from common.files import write_json
from tests.estimate.report.conftest import check, run_report
from tests.estimate.report.html_tree import parse


def test_a_mismatch_is_said_and_is_a_failure(tmp_path):
    """Of another specification, too: what the shipped model says of its codes is left out."""
    spec = load_preset().replace(name="half", geometry__subtiles=8)
    path = write_json(tmp_path / "half.json", spec.to_tree())
    write_json(tmp_path / "sim" / "run.json", check(spec.hash, mismatches=3))
    status, printed = run_report(tmp_path, "--spec", path)
    assert status == 1 and "golden check: 3 codes differ" in printed
    assert "not run: golden vectors (make verify)" in printed
    tree, _ = parse((tmp_path / "report" / "index.html").read_text())
    page = tree.all("body")[0].text
    assert "3 output codes differ" in page
    assert "These rows are of leroux2025" in page
    assert "make verify has not been run here" in page
    result = json.loads((tmp_path / "report" / "result.json").read_text())
    assert result["golden_mismatches"] == 3 and result["spec_hash"] == spec.hash
    assert {"design", "perplexity"}.isdisjoint(result["figures"]) and "energy" in result["figures"]
    assert result["sources"]["record"]["note"].startswith("checkpoints/evaluation.json is of codes")


def test_an_error_is_one_line(tmp_path):
    command = [sys.executable, "-m", "estimate.report", "--build", str(tmp_path)]
    done = subprocess.run(
        [*command, "--spec", "none.json"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr == "error: none.json: no such file, and no preset: leroux2025\n"
    assert not (tmp_path / "report").exists()
