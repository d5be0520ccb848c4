import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("Makefile", "pyproject.toml", "requirements.lock", ".ci")


@pytest.fixture
def copy(tmp_path):
    """Copy what installs the project to a folder (with a space in its name) that has no .venv."""
    folder = tmp_path / "a copy"
    folder.mkdir()
    for name in FILES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def run(*command, cwd, **variables):
    # MAKEFLAGS of a `make test` that runs us would reach the make we run.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTHON"))}
    return subprocess.run(
        command, cwd=cwd, env=inherited | variables, capture_output=True, text=True, timeout=60
    )


def installed_by(target, copy, *variables):
    """Name the parts that `make TARGET` would install in an empty folder."""
    plan = run("make", "--dry-run", target, *variables, cwd=copy)
    assert plan.returncode == 0, plan.stderr
    return {line.split()[-1] for line in plan.stdout.splitlines() if ".ci/install.sh" in line}


def test_help_describes_every_target(copy):
    phony = next(x for x in (ROOT / "Makefile").read_text().splitlines() if x.startswith(".PHONY:"))
    shown = run("make", cwd=copy).stdout.splitlines()
    described = {
        line.split()[0] for line in shown if line.startswith("  ") and len(line.split()) > 2
    }
    assert set(phony.split()[1:]) <= described


@pytest.mark.parametrize(
    "target", ["sim", "verify", "bench", "verilog", "synth", "formal", "report"]
)
def test_torch_is_not_installed_for(target, copy):
    parts = installed_by(target, copy)
    assert "core" in parts
    assert not parts & {"ml", "test"}


@pytest.mark.parametrize("target", ["sim", "verify", "bench", "synth", "test"])
def test_icarus_is_installed_for(target, copy):
    assert "icarus" in installed_by(target, copy)


@pytest.mark.parametrize("target", ["sim", "verify", "bench"])
def test_verilator_is_installed_where_it_is_asked_for(target, copy):
    assert "verilator" in installed_by(target, copy, "SIM=verilator")
    assert "verilator" not in installed_by(target, copy, "SIM=icarus")
    assert ("verilator" in installed_by(target, copy)) == (target == "bench")


def test_a_browser_is_installed_for_all_tests_only(copy):
    assert "browser" in installed_by("test-all", copy)
    assert "browser" not in installed_by("test", copy) | installed_by("report", copy)


def test_a_report_co_simulates_unless_that_was_done(copy):
    assert "icarus" in installed_by("report", copy)
    assert "verilator" in installed_by("report", copy, "SIM=verilator")
    result = copy / "build" / "verify" / "result.json"
    result.parent.mkdir(parents=True)
    result.touch()
    assert not installed_by("report", copy) & {"icarus", "verilator"}


def test_an_unknown_simulator_is_refused(copy):
    answer = run("make", "--dry-run", "sim", "SIM=vcs", cwd=copy)
    assert answer.returncode == 2 and "SIM=vcs: allowed icarus, verilator" in answer.stderr


def test_the_45_nm_library_is_fetched_when_asked_for(copy):
    plans = [run("make", "-n", "synth", *ask, cwd=copy).stdout for ask in ([], ["LIB=nangate45"])]
    assert [".ci/install.sh nangate45" in plan for plan in plans] == [False, True]
    assert "hdl.synth --library nangate45" in plans[1]


def test_gates_need_the_tools_of_synth(copy):
    plan = run("make", "-n", "sim", "GATES=1", cwd=copy).stdout
    assert ".ci/install.sh synth" in plan and "cosim.sim --gates" in plan


def test_sim_passes_its_variables_on(copy):
    variables = ("WAVES=1", "SEED=7", "SIM=verilator", "WORKERS=2")
    plan = run("make", "--dry-run", "sim", *variables, cwd=copy)
    command = "-m cosim.sim --waves --sim verilator --workers 2 --seed 7"
    assert plan.stdout.splitlines()[-1].endswith(command)


def test_a_missing_compiler_is_named_with_its_package(copy):
    """As a user who may not install: neither root nor sudo."""
    tools = copy / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "touch", "mkdir", "grep", "paste", "rm"):
        (tools / name).symlink_to(shutil.which(name))
    for name in ("iverilog", "vvp", "make"):
        (tools / name).symlink_to(shutil.which("true"))
    (tools / "id").write_text("#!/bin/sh\necho 1000\n")
    venv = copy / ".venv" / "bin" / "python"
    venv.parent.mkdir(parents=True)
    venv.write_text("#!/bin/sh\necho found\n")
    for script in (tools / "id", venv):
        script.chmod(0o755)
    answer = run("sh", ".ci/install.sh", "verilator", cwd=copy, PATH=str(tools))
    assert answer.returncode == 1
    assert "Verilator needs c++; please install what Debian calls make and g++" in answer.stderr
    assert not (copy / ".venv" / ".stamp-verilator").exists()


def test_an_old_python_is_refused(copy):
    old = copy / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    old.chmod(0o755)
    answer = run("sh", ".ci/install.sh", "core", cwd=copy, PYTHON=str(old))
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        f"install: error: '{old}' is Python 3.9.2; gaincell needs Python 3.11 or newer "
        "(make PYTHON=...)"
    ]
    assert not (copy / ".venv").exists()


def test_a_missing_python_is_named(copy):
    answer = run("sh", ".ci/install.sh", "core", cwd=copy, PYTHON="python3.99")
    assert answer.returncode == 1
    assert "there is no 'python3.99'" in answer.stderr


def test_ci_ends_with_the_line_of_pytest_and_its_status(copy):
    (copy / "Makefile").write_text("test:\n\t@echo '1 failed in 0.1s'; exit 3\n")
    answer = run(".ci/run", cwd=copy)
    assert answer.returncode != 0
    assert answer.stdout.splitlines()[-1] == "1 failed in 0.1s"


def test_every_dependency_is_bounded():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        requirements += extra
    assert [r for r in requirements if "==" not in r and "<" not in r] == []


def test_icarus_is_installed_again_once_it_is_gone(copy):
    stamp = copy / ".venv/.stamp-icarus"
    stamp.parent.mkdir()
    stamp.touch()
    tools = copy / "tools"
    tools.mkdir()
    for name in ("make", "sh", "rm"):
        (tools / name).symlink_to(shutil.which(name))
    run("make", "--dry-run", "sim", cwd=copy, PATH=str(tools))
    assert not stamp.exists()
    for name in ("iverilog", "vvp"):
        (tools / name).symlink_to(shutil.which("true"))
    stamp.touch()
    run("make", "--dry-run", "sim", cwd=copy, PATH=str(tools))
    assert stamp.exists()
