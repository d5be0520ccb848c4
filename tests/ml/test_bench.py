"""The benchmark of training's attention: what it compares, and how it reports."""

import json

import pytest
import torch

from analog_models.physics import causal_attention
from ml import bench
from ml.surrogate import SurrogateOps
from tests.ml.codes import random_codes


def test_the_dense_baseline_is_the_plain_definition(tiny_spec, generator):
    codes = [x.float() for x in random_codes(tiny_spec, generator, 2, 2, 24)]
    found = []
    for attend in (
        lambda q, k, v: causal_attention(tiny_spec, q, k, v, SurrogateOps()),
        lambda q, k, v: bench.dense_attention(
            tiny_spec, q, k, v, bench.masked_decays(tiny_spec, 24)
        ),
    ):
        inputs = [x.clone().requires_grad_() for x in codes]
        out = attend(*inputs)
        found.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


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
