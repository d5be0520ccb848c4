"""The benchmark of training's attention: how it reports, and its goal."""

import json

import pytest

from ml.attention import bench


def test_ratios_are_those_to_the_dense_form(tmp_path, capsys):
    rows = [
        {"form": "dense", "seconds": [3.0, 2.0], "peak_bytes": 800 * bench.MIB},
        {"form": "fast", "seconds": [0.5, 0.1], "peak_bytes": 80 * bench.MIB},
    ]
    bench.report(rows, {"heads": 1, "tokens": 64}, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    dense, fast = result["rows"]
    assert (dense["speed_ratio"], dense["memory_ratio"]) == (1.0, 1.0)
    assert (fast["speed_ratio"], fast["memory_ratio"]) == (20.0, 0.1)
    assert "spec_hash" not in result and result["goal"]["speed_ratio"] == 8.0
    assert "fast      0.100                 20.0" in capsys.readouterr().out


@pytest.mark.slow
def test_the_kernel_reaches_the_goal(tmp_path):
    assert bench.main(["--heads", "4", "--rounds", "2", "--folder", str(tmp_path)]) == 0
    fast = json.loads((tmp_path / "result.json").read_text())["rows"][-1]
    assert fast["form"] == "fast"
    assert fast["speed_ratio"] > bench.GOAL_SPEED and fast["memory_ratio"] < bench.GOAL_MEMORY
