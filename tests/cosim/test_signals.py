"""Whatever ends a command of the co-simulation: no simulator runs on, and no folder stays."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

from cosim.closure.stimulus import closure_spec
from cosim.run.building import BUILD_ROOT, build
from tests.running import END_S, Running, wait_until

SOAK = ("cosim.closure.soak", "--sim", "icarus", "--job-tokens", 2000, "--workers", 2, "--build")


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    build(closure_spec())


def folders():
    """Those of simulations that run, or were killed."""
    return {path for kind in ("job-*", "progress-*") for path in BUILD_ROOT.rglob(kind)}


@pytest.mark.parametrize(
    ("signum", "status", "group", "line"),
    [
        (signal.SIGINT, 130, False, "interrupted; the same command goes on from there"),
        (signal.SIGINT, 130, True, "interrupted; the same command goes on from there"),
        (signal.SIGTERM, 143, False, "interrupted by SIGTERM; the same command goes on from there"),
        (signal.SIGHUP, 129, True, "interrupted by SIGHUP; the same command goes on from there"),
    ],
)
def test_a_signal_ends_simulators_and_clears_up(signum, status, group, line, tmp_path):
    before = folders()
    with Running(*SOAK, tmp_path) as soak:
        soak.wait_for("vvp")
        assert soak.end(signum, group).splitlines() == [line]
        assert soak.process.returncode == status
    assert not folders() - before


def test_what_a_killed_command_leaves_goes_at_the_next_start(tmp_path):
    with Running(*SOAK, tmp_path) as killed:
        killed.wait_for("vvp")
        killed.end(signal.SIGKILL)
    left = folders()
    assert left
    short = (*SOAK, tmp_path / "next", "--tokens", 50)
    subprocess.run([sys.executable, "-m", *map(str, short)], check=True, capture_output=True)
    assert not left & folders()


def test_two_commands_run_side_by_side(tmp_path):
    with Running(*SOAK, tmp_path / "long") as long:
        long.wait_for("vvp")
        short = (*SOAK, tmp_path / "short", "--tokens", 50)
        subprocess.run([sys.executable, "-m", *map(str, short)], check=True, capture_output=True)
        assert long.process.poll() is None
        long.end(signal.SIGTERM)
    kept = json.loads((tmp_path / "short" / "soak" / "result.json").read_text())
    assert kept["mismatches"] == 0


def test_nobody_executes_what_lies_where_one_stands(tmp_path, monkeypatch):
    """A simulation that pretends to be compiled, under the name that ours has."""
    ours = build(closure_spec()).folder
    theirs = tmp_path / ours.relative_to(BUILD_ROOT.parent)
    shutil.copytree(ours, theirs)
    for name in ("sim.vvp", "testbench"):
        (theirs / name).write_text("#!/bin/sh\ntouch executed\n")
        (theirs / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    short = (*SOAK, "build", "--tokens", 50)
    done = subprocess.run(
        [sys.executable, "-m", *map(str, short)], capture_output=True, text=True, check=True
    )
    assert "50 tokens in 1 jobs, 0 with a fault" in done.stdout
    assert (tmp_path / "build" / "soak" / "result.json").exists()  # a result is where one stands
    assert not [*tmp_path.rglob("executed")]


COMPILE = """
import sys
from pathlib import Path
from common.errors import run_command
from cosim.run.building import build
from cosim.closure.stimulus import closure_spec

run_command(lambda: build(closure_spec(), "verilator", Path(sys.argv[1])) and 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_compilers_end_too(signum, tmp_path):
    (tmp_path / "compile_anew.py").write_text(COMPILE)
    variables = {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    with Running("compile_anew", tmp_path / "build", **variables) as compiler:
        compiler.wait_for("make", "cc1plus")
        compiler.end(signum)
    assert wait_until(lambda: not [*tmp_path.glob("gaincell-*")], END_S)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "names", "hint"),
    [
        (("cosim.sim",), ["vvp"], ""),
        (("cosim.verify",), ["vvp"], ""),
        (("cosim.core",), ["vvp"], ""),
        (("cosim.closure.coverage",), ["vvp"], ""),
        (("cosim.bench", "--sim", "icarus"), ["vvp"], ""),
        (("cosim.timing",), ["vvp"], ""),
        (("cosim.closure.mutate",), ["vvp"], "; the same command goes on from there"),
    ],
)
def test_every_command_ends_its_simulators(command, names, hint, tmp_path):
    before = folders()
    with Running(*command, "--build", tmp_path) as running:
        running.wait_for(*names)
        said = running.end(signal.SIGTERM)
        assert said.splitlines()[-1] == f"interrupted by SIGTERM{hint}" and "Trace" not in said
        assert running.process.returncode == 143
    assert not folders() - before and not [*tmp_path.rglob("mutant-*")]
