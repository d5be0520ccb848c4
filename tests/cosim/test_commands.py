"""The commands as a user runs them, on the full-size head."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import pywellen
from safetensors.numpy import load_file, save_file

from analog_models.head import GoldenHead
from cosim.reference.golden_streams import GOLDEN, load_golden
from tests.running import Running


def command(module, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", f"cosim.{module}", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | variables,
    )


def altered_golden(folder, edit):
    """A copy of the golden vectors whose wrap tensors `edit` changes; its manifest agrees."""
    copy = shutil.copytree(GOLDEN, folder / "golden")
    path = copy / "wrap.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


def test_sim_checks_every_head_and_a_wrapping_window(build, full):
    done = command("sim", "--tokens", 8, "--build", build)
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads((build / "sim" / "run.json").read_text())
    assert run["spec_hash"] == full.hash and run["mismatches"] == 0
    assert run["head_tokens"] == 16 * 8 + 1152
    assert run["cycles_per_token"] == 65
    assert [part["cycles_between_tokens"] for part in run["runs"]] == [65, 65]
    assert run["head_tokens_per_second"] > 1 and run["seed"] == 0
    assert run["simulator"].startswith("icarus 1")
    assert (build / "sim" / "token.png").read_bytes().startswith(b"\x89PNG")
    assert "text of the passage" in done.stdout and "1280/" not in done.stdout
    assert "1280/1280 head-tokens" in done.stderr and " \n" not in done.stderr
    assert run["workers"] >= 1


def test_waves_hold_digital_and_analog_signals(build, full):
    done = command(
        "sim", "--tokens", 1, "--wrap-tokens", 2, "--waves", "--stalls", 3, "--build", build
    )
    assert done.returncode == 0, done.stderr
    waves = pywellen.Waveform(str(build / "sim" / "head.fst"))
    signals = {variable.full_name: variable for variable in waves.all_vars()}

    def at(name, cycle):
        return signals[f"testbench.{name}"].signal.value_at(int(cycle * full.clock.t_clk_ps))

    edges = (cycle + 0.5 for cycle in range(50))
    start = next(edge for edge in edges if at("token_ready", edge - 0.1) > at("token_ready", edge))
    phases = full.schedule.phases
    for name in ("reset_k", "score", "activate"):
        levels = [int(at(name, start + c + 0.5)) for c in range(full.schedule.latency)]
        assert levels == [int(c in phases[name]) for c in range(full.schedule.latency)], name
    golden = load_golden(full).wrap
    v_written = golden["v"][0, 0] * full.kv_step_v
    assert signals["testbench.arrays.v_stored"].is_real
    assert at("arrays.v_stored", start) == full.leakage.asymptote_v
    assert at("arrays.v_stored", start + phases["reset_k"].start) == pytest.approx(v_written)
    head = GoldenHead(full)
    trace = head.step(golden["q"][0], golden["k"][0], golden["v"][0])
    charge = trace.score[0] / full.levels.q_max
    settled = start + phases["activate"].start + 2
    assert at("arrays.integrator_charge", settled) == pytest.approx(charge)
    assert at("arrays.phi_width_ps", start + phases["read_out"].start) == trace.phi_ps[0]


def test_verify_replays_the_golden_vectors_under_back_pressure(build):
    done = command("verify", "--tokens", 6, "--seed", 7, "--build", build)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((build / "verify" / "result.json").read_text())
    assert result["mismatches"] == result["numpy_mismatches"] == 0
    assert result["seed"] == 7 and result["runs"][0]["max_stall_cycles"] == 40
    assert result["runs"][0]["cycles_per_token_range"][1] > 65


def test_a_wrong_code_is_located_and_fails(build, tmp_path):
    def edit(tensors):
        tensors["out"][3, 17] += 1

    golden = altered_golden(tmp_path, edit)
    done = command("sim", "--tokens", 1, "--wrap-tokens", 5, "--golden", golden, "--build", build)
    assert done.returncode == 1
    assert "first mismatch: token 3, head " in done.stdout
    assert "sub-tile none (sum), dimension 17: got " in done.stdout
    assert json.loads((build / "sim" / "run.json").read_text())["mismatches"] == 1


def test_a_code_out_of_range_is_one_line(build, tmp_path):
    def edit(tensors):
        tensors["k"] = tensors["k"].astype(np.uint8)
        tensors["k"][2, 5] = 9

    golden = altered_golden(tmp_path, edit)
    done = command("sim", "--tokens", 1, "--golden", golden, "--build", build)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: {golden / 'wrap.safetensors'}: k[2, 5] = 9: allowed whole numbers 0 to 7 "
        "([token, dimension])"
    ]


def test_a_specification_of_ones_own_is_simulated(build, full, tmp_path):
    path = tmp_path / "slower.json"
    path.write_text(json.dumps(full.replace(schedules__overlapped__period=54).to_tree()))
    options = ("--schedule", "overlapped", "--tokens", 1, "--wrap-tokens", 3, "--build", build)
    assert command("sim", "--spec", path, *options).returncode == 0
    runs = json.loads((build / "sim" / "run.json").read_text())["runs"]
    assert [run["cycles_between_tokens"] for run in runs][-1] == 54


def test_a_missing_simulator_is_one_line(build):
    done = command("sim", "--build", build, PATH="/nonexistent")
    assert done.returncode == 2
    assert done.stderr == (
        "error: Icarus Verilog (iverilog, vvp) is not on PATH: `make sim` installs it\n"
    )


def test_ctrl_c_stops_everything_and_leaves_nothing_half_written(build):
    shutil.rmtree(build / "sim", ignore_errors=True)
    with Running("cosim.sim", "--build", build) as sim:
        assert sim.process.stderr is not None
        started = sim.process.stderr.readline()
        assert "head-tokens" in started, started
        stderr = sim.end(signal.SIGINT, group=True)  # what a terminal does
    assert sim.process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "interrupted" and "Traceback" not in stderr
    assert not list((build / "sim").glob("*"))


@pytest.mark.parametrize("module", ["sim", "verify", "bench"])
def test_help_answers(module):
    done = command(module, "--help")
    assert done.returncode == 0 and "--golden" in done.stdout
