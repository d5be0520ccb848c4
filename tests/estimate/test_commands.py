"""The commands as a user runs them, and the tables that they print."""

import json
import subprocess
import sys

import pytest

from analog_models.spec import load_preset
from common.errors import GaincellError
from common.files import write_json
from estimate.measured import load_measured
from estimate.overview import Estimate
from estimate.report.tables_beside import system_tables
from estimate.report.wording import EMPTY, quantity
from estimate.show import show


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_the_estimate_is_printed_and_written(tmp_path):
    done = command("estimate", "--build", tmp_path)
    assert done.returncode == 0, done.stderr
    tree = json.loads((tmp_path / "estimate" / "result.json").read_text())
    keys = {"name", "ours", "published", "ratio", "tolerance", "calibrated"}
    assert all(keys <= set(row) for row in tree["published"])
    assert set(tree["heads"]) == set(load_preset().schedules)
    assert tree["spec_hash"] == load_preset().hash and tree["git"] is not None
    for words in ("published figure", "among themselves", "whole models, by lengths", "TOPS/W"):
        assert words in done.stdout, words


def test_a_tree_opens_the_energy_of_a_token():
    done = command("estimate", "--tree", "1", "--schedule", "pipelined", "--basis", "published")
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and lines[0].startswith("token ") and "4,000 pJ" in lines[-1]
    named = command("estimate", "--tree", "0", "--spec", "leroux2025")
    assert named.stdout.startswith("token ") and named.stdout.count("\n") == 1
    assert "'-3': needs a whole number from 0 up" in command("estimate", "--tree", "-3").stderr
    assert len(command("estimate", "--tree").stdout.splitlines()) > 20


def test_another_specification_has_an_estimate_of_its_own(tmp_path):
    spec = load_preset().replace(name="half", geometry__subtiles=8)
    path = write_json(tmp_path / "half.json", spec.to_tree())
    done = command("estimate", "--spec", path, "--build", tmp_path)
    assert done.returncode == 0, done.stderr  # published figures are of the measured one
    half = json.loads((tmp_path / "estimate" / "result.json").read_text())
    assert half["heads"]["leroux2025"]["area_m2"]["value"] < 0.3e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("estimate", "--tree", "--schedule", "fast"), "no schedule 'fast': there are leroux2025"),
        (("estimate", "--spec", "other"), "other: no such file, and no preset: leroux2025"),
        (("estimate", "--build", "/dev/null"), "/dev/null/estimate: Not a directory"),
        (("estimate", "--measured", "none.json"), "none.json: No such file or directory"),
        (("estimate", "--measured", "pyproject.toml"), "pyproject.toml: not JSON"),
        (("estimate.validate", "--build", "none"), "none/timing/result.json: No such file"),
        (("estimate.measure", "--build", "none"), "none: nothing was measured there"),
    ],
)
def test_an_error_is_one_line(arguments, message):
    done = command(*arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and message in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("option", [("--schedule", "pipelined"), ("--basis", "published")])
def test_an_option_that_would_be_ignored_is_refused(option):
    done = command("estimate", *option)
    assert done.returncode == 2 and "--schedule and --basis are for --tree" in done.stderr


@pytest.mark.parametrize("content", ["[]", '{"spec": 3}', '{"spec": {"name": [1]}}'])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "measured.json"
    path.write_text(content)
    with pytest.raises(GaincellError, match=r"measured\.json: "):
        load_measured(path)


def test_which_parameters_matter(measured, circuits):
    found = Estimate(measured.spec, measured, circuits).sensitivities()
    charge = found["cell.unit_charge_c"]
    assert 0.3 < charge["energy"] < 0.5 and 0.4 < charge["area"] < 0.7
    assert found["technology.capacitor_f_per_m2"]["area"] < -0.3
    assert found["dac.area_m2"]["energy"] == pytest.approx(0, abs=1e-3)
    assert found["oxide_cell.gain_cells"] == {"energy": 0, "area": 0}


def test_the_activity_of_heads_spreads_the_energy(measured, circuits):
    found = Estimate(measured.spec, measured, circuits).activities()
    assert found["score_moved, lowest"] < found["score_moved, highest"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (65e-9, "s", "65 ns"),
        (6.1e-9, "J", "6.1 nJ"),
        (0.5e-6, "m2", "0.5 mm2"),
        (2.5, "s", "2.5 s"),
        (700, "W", "700 W"),
        (344.15, "", "344.1"),
        (98060.1, "", "98,060"),
        (0.9997e-9, "s", "0.9997 ns"),
    ],
)
def test_quantities_have_a_prefix(value, unit, text):
    assert quantity(value, unit) == text


def test_cells_that_do_not_leak_have_no_retention(measured, circuits):
    spec = load_preset().replace(leakage__decay_per_token=0.0)
    tree = Estimate(spec, measured, circuits).to_tree()
    assert tree["systems"]["models"][0]["tau_needed_s"] is None
    assert "  -  " in show(tree).split("whole models, by models")[1].splitlines()[3]
    assert EMPTY in next(system_tables(tree)).rows[0]
