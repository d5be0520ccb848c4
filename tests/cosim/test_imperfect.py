"""numpy = RTL with imperfections on: the same hardware and the same noise on both sides."""

import json
from dataclasses import replace

import numpy as np
import pytest

from analog_models.attend import causal_attention
from analog_models.spec import overlaid
from cosim.closure.stimulus import random_job as any_job
from cosim.imperfections import KINDS, only, sweep
from cosim.reference.batch import golden_batch
from cosim.reference.comparison import compare, golden_codes, golden_traces
from cosim.reference.drift import Drift
from cosim.reference.judge import fault
from cosim.run.building import build as build_head
from cosim.run.building import simulate
from cosim.run.workers import run_jobs
from tests.cosim.conftest import random_job, small_spec
from tests.cosim.test_commands import command

SMALL = small_spec()
TYPICAL = overlaid(SMALL, "typical").replace(imperfections__stuck_fraction=0.05)


@pytest.mark.parametrize("seed", range(2))
def test_the_rtl_equals_numpy_under_anything(seed):
    """Pulses, counts, codes and cycles: flushes, queries, schedules and back-pressure at random."""
    job = replace(any_job(SMALL, 150, seed), device=seed)
    outcome = simulate(TYPICAL, job)
    assert not fault(TYPICAL, job, outcome)
    assert Drift.between(outcome.out, golden_codes(SMALL, job)).changed > 0.2
    for other in (replace(job, seed=seed + 100), replace(job, device=7)):
        wrong, first = compare(TYPICAL, job, ["0"] * 150, golden_codes(TYPICAL, other), outcome)
        assert wrong > 100 and first is not None


@pytest.mark.parametrize("seed", range(3))
def test_the_batch_equals_the_golden_head(seed):
    job = replace(any_job(TYPICAL, 120, seed), device=3)
    golden, traces = golden_batch(TYPICAL, job), [*golden_traces(TYPICAL, job)]
    assert np.array_equal(golden.rows, [trace.phi_ps for trace in traces])
    assert np.array_equal(golden.counts, [trace.counts for trace in traces])


def test_noise_does_not_depend_on_schedules_stalls_and_company():
    job = random_job(SMALL, 60, 5, flushes=0.1)
    other = replace(job, max_gap=9, max_stall=9, schedule=job.schedule + 2)
    (outcome,), _ = run_jobs(build_head(TYPICAL), [other], workers=3)
    assert np.array_equal(outcome.out, golden_codes(TYPICAL, job))


def test_a_part_of_a_job_keeps_its_noise():
    job = random_job(SMALL, 40, 6, flushes=0.2)
    places = np.concatenate([*job.sequences[2:4]])
    assert np.array_equal(
        golden_codes(TYPICAL, job.take(places)), golden_codes(TYPICAL, job)[places]
    )


def test_drift_of_codes():
    drift = Drift.between(np.array([[1, 5], [3, 4]]), np.array([[1, 2], [3, 0]], dtype=np.uint8))
    assert drift == (0.5, 2.5, pytest.approx(14**0.5 / 2))


def test_sim_shows_what_imperfections_do(build):
    options = ("--tokens", 1, "--wrap-tokens", 6, "--build", build)
    done = command("sim", *options, "--imperfections", "typical", "--device", 2, "--seed", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads((build / "sim" / "run.json").read_text())
    assert run["mismatches"] == 0 and run["spec"] == "leroux2025-typical"
    assert run["imperfections"]["write_noise_v"] == 0.002
    wrap = run["runs"][1]
    assert wrap["device"] == 2 and wrap["drift"]["changed"] > 0.01
    assert f"2: {wrap['name']}" in done.stdout and "x 6 tokens" in wrap["name"]
    assert "what the model predicts" not in done.stdout
    done = command("sim", *options, "--imperfections", "absent")
    assert done.returncode == 2
    assert done.stderr == "error: no overlay 'absent': there are typical, or give a .json file\n"


def test_every_size_of_the_overlay_is_of_one_kind():
    fields = [field for kind in KINDS.values() for field in kind]
    sizes = overlaid(SMALL, "typical").imperfections.model_dump(exclude_defaults=True)
    assert sorted(fields) == sorted(sizes)
    alone = only(TYPICAL, KINDS["write"], 0.5).imperfections.model_dump(exclude_defaults=True)
    assert alone == {"write_error_v": 0.0025, "write_noise_v": 0.001}


def test_codes_drift_further_the_larger_a_kind_is():
    shape = (2, 3, 16, SMALL.geometry.head_dim)
    rng = np.random.default_rng(0)
    codes = {
        name: rng.integers(0, levels, shape).astype(np.float64)
        for name, levels in (("q", 16), ("k", 8), ("v", 8))
    }
    codes["out"] = causal_attention(SMALL, codes["q"], codes["k"], codes["v"])
    for kind in ("write", "read noise", "mismatch of cells", "converters"):
        errors = [drift.rms for drift in sweep(TYPICAL, KINDS[kind], codes, seed=0)]
        assert errors == sorted(errors) and 0 < 3 * errors[0] < errors[-1], kind


@pytest.mark.slow
def test_the_command_shows_each_kind(build):
    done = command("imperfections", "--tokens", 8, "--build", build)
    assert done.returncode == 0, done.stderr
    result = json.loads((build / "imperfections" / "result.json").read_text())
    assert result["head_tokens"] == 128 and set(result["drifts"]) == {*KINDS, "all"}
    assert all(of[-1]["changed"] > 0 for of in result["drifts"].values())
    plot = build / "imperfections" / "imperfections.png"
    assert plot.read_bytes().startswith(b"\x89PNG")
