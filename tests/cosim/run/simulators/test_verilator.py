"""Verilator gives what Icarus gives, bit for bit and cycle for cycle."""

import json

import numpy as np
import pytest
import pywellen

from common.errors import ToolError
from cosim.run.building import SIMULATORS, simulate
from cosim.run.simulators.verilator import Verilator
from tests.cosim.conftest import expected_codes, random_job, small_spec
from tests.cosim.test_commands import command


@pytest.fixture(scope="module", autouse=True)
def _installed():
    try:
        SIMULATORS["verilator"].check()
    except ToolError as error:
        pytest.skip(str(error))


def same(spec, job):
    """Compare all that both simulators saw of a job; its output codes are those of numpy."""
    icarus, verilator = (simulate(spec, job, simulator=name) for name in ("icarus", "verilator"))
    for name in ("out", "counts", "queries", "rows", "accepted", "finished"):
        assert np.array_equal(getattr(verilator, name), getattr(icarus, name)), name
    for name, value in icarus.trace.items():
        assert np.array_equal(verilator.trace[name], value), name
    assert np.array_equal(icarus.out, expected_codes(spec, job))


def test_both_simulators_see_the_same():
    spec = small_spec()
    same(spec, random_job(spec, 100, 1))
    job = random_job(spec, 150, 2, 0.1, max_gap=40, max_stall=70)
    job.schedule[:] = np.arange(150) // 20 % len(spec.schedules)
    same(spec, job)


@pytest.mark.slow
def test_both_simulators_see_the_same_of_exact_pulses():
    spec = small_spec(geometry__subtiles=1)
    same(spec, random_job(spec, 40, 3, exact=True))


@pytest.mark.slow
def test_waveforms_hold_what_those_of_icarus_hold(tmp_path):
    spec = small_spec()
    job, held = random_job(spec, 3, 4, waves=True), {}
    for name in ("icarus", "verilator"):
        path = tmp_path / f"head{SIMULATORS[name].waves}"
        simulate(spec, job, simulator=name, waves=path)
        signals = {v.full_name: v.signal for v in pywellen.Waveform(str(path)).all_vars()}
        for signal in ("v_stored", "integrator_charge", "phi_width_ps", "result_payload"):
            (found,) = (n for n in signals if n.endswith(f".{signal}"))
            held[name, signal] = [signals[found].value_at(t) for t in range(50_250, 250_000, 500)]
    assert held["icarus", "result_payload"] == held["verilator", "result_payload"]
    for signal in ("v_stored", "integrator_charge", "phi_width_ps"):  # VCD rounds to 16 digits
        assert held["verilator", signal] == pytest.approx(held["icarus", signal], rel=1e-12)
        assert len(set(held["icarus", signal])) > 1


@pytest.mark.slow
def test_a_full_head(build):
    options = ("--sim", "verilator", "--tokens", 2, "--wrap-tokens", 1100)
    done = command("sim", *options, "--build", build)
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads((build / "sim" / "run.json").read_text())
    assert run["simulator"].startswith("verilator 5.") and run["mismatches"] == 0


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr("cosim.run.simulators.verilator.shutil.which", lambda name: None)
    with pytest.raises(ToolError, match="please install what Debian calls make and g\\+\\+"):
        Verilator().check()
