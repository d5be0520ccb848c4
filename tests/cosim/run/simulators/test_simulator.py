"""Simulators get an environment that is written down here, whatever a user has exported."""

import os

import numpy as np
import pytest

from common.errors import ToolError
from common.processes import KEPT
from cosim.run.building import SIMULATORS, build, simulate
from cosim.run.simulators import simulator
from tests.cosim.conftest import expected_codes, random_job, small_spec

EXPORTED = {
    "COCOTB_ATTACH": "600",
    "COCOTB_LIST_TESTS": "1",
    "COCOTB_LOG_LEVEL": "NONSENSE",
    "COCOTB_MAX_FAILURES": "-1",
    "COCOTB_PDB_ON_EXCEPTION": "1",
    "COCOTB_RANDOM_SEED": "none",
    "COCOTB_RESOLVE_X": "nonsense",
    "COCOTB_TESTCASE": "other",
    "COCOTB_TEST_FILTER": "other",
    "COCOTB_TEST_MODULES": "other",
    "COCOTB_TOPLEVEL": "other",
    "COCOTB_USER_COVERAGE": "1",
    "COVERAGE": "1",
    "CPPFLAGS": "-nonsense",
    "CXXFLAGS": "-nonsense",
    "GAINCELL_SESSION": "77",
    "GPI_DEBUG": "nonsense",
    "GPI_EXTRA": "/nonexistent/lib.so,entry",
    "GPI_LOG_LEVEL": "NONSENSE",
    "GPI_USERS": "/nonexistent/lib.so,entry",
    "GUI": "1",
    "IVERILOG_ICONFIG": "/nonexistent",
    "IVERILOG_VPI_MODULE_PATH": "/nonexistent",
    "LIBPYTHON_LOC": "/nonexistent",
    "MAKEFLAGS": "--dry-run",
    "MODULE": "other",
    "PYGPI_PYTHON_BIN": "/nonexistent",
    "PYGPI_USERS": "other:entry",
    "PYTEST_CURRENT_TEST": "other",
    "PYTHONWARNINGS": "error",
    "RANDOM_SEED": "none",
    "TESTCASE": "other",
    "TOPLEVEL": "other",
    "TOPLEVEL_LANG": "vhdl",
    "VERILATOR_ROOT": "/nonexistent",
    "VVP_ARGS": "-nonsense",
    "WAVES": "1",
}


def export(monkeypatch, folder):
    """Export all of that, and modules that stand in the way."""
    for name in ("cocotb", "cosim", "numpy", "pygpi"):
        (folder / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    for name, value in {**EXPORTED, "PYTHONPATH": str(folder)}.items():
        monkeypatch.setenv(name, value)


def test_exported_variables_do_not_reach_a_simulation(monkeypatch, tmp_path):
    spec = small_spec()
    job = random_job(spec, 5, 0)
    export(monkeypatch, tmp_path)
    assert np.array_equal(simulate(spec, job, build_root=tmp_path).out, expected_codes(spec, job))


@pytest.mark.slow
def test_exported_variables_do_not_reach_verilator(monkeypatch, tmp_path):
    try:
        SIMULATORS["verilator"].check()
    except ToolError as error:
        pytest.skip(str(error))
    spec = small_spec()
    job = random_job(spec, 5, 0)
    export(monkeypatch, tmp_path)
    outcome = simulate(spec, job, simulator="verilator", build_root=tmp_path / "a space")
    assert np.array_equal(outcome.out, expected_codes(spec, job))


@pytest.mark.parametrize("name", SIMULATORS)
def test_the_environment_is_what_it_is_said_to_be(name, monkeypatch, tmp_path):
    here = SIMULATORS[name].environment("cosim.testbench.replay", tmp_path)
    export(monkeypatch, tmp_path)
    assert SIMULATORS[name].environment("cosim.testbench.replay", tmp_path) == here
    ours = ("COCOTB_", "GPI_", "PYGPI_", "TOPLEVEL_LANG", "PYTHON", "OPENBLAS_", "LC_ALL")
    assert all(key.startswith(ours) for key in here if key not in KEPT)
    assert all(os.environ[key] == here[key] for key in KEPT if key in here)


def test_a_missing_library_of_python_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(simulator, "find_libpython", lambda: None)
    simulator.libpython.cache_clear()
    with pytest.raises(ToolError, match=r"please install libpython3\.\d+"):
        build(small_spec()).run(random_job(small_spec(), 1, 0))
    simulator.libpython.cache_clear()
