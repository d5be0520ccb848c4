"""The workflow of hosted CI is YAML that runs what there is, on every system that is supported."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)


def workflow():
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))


def commands(tree):
    (job,) = tree["jobs"].values()
    return [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines()]


def test_its_targets_and_files_are_there():
    found = commands(workflow())
    targets = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    asked = {line.split()[1] for line in found if line.startswith("make ")}
    assert "test" in asked
    assert asked <= targets
    assert (ROOT / "requirements.lock").exists()
    assert any("--constraint requirements.lock" in line for line in found)


def test_it_takes_both_debians_and_every_python_of_the_lock():
    (job,) = workflow()["jobs"].values()
    rows = job["strategy"]["matrix"]["include"]
    assert {row["debian"] for row in rows} == {"bookworm", "trixie"}
    assert {row["python"] for row in rows} == {"3.11", "3.12", "3.13"}
    assert job["container"] == "debian:${{ matrix.debian }}"


def test_it_names_no_address_and_may_only_read():
    tree = workflow()
    assert "://" not in yaml.safe_dump(tree)
    assert tree["permissions"] == {"contents": "read"}
