"""CITATION.cff has what citation file format 1.2.0 asks for, and the version of pyproject.toml."""

import datetime
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))


def test_it_has_the_required_fields():
    tree = citation()
    assert tree["cff-version"] == "1.2.0"
    assert tree["type"] == "software"
    assert all(isinstance(tree[name], str) and tree[name] for name in ("message", "title"))
    assert all(author.get("name") or author.get("family-names") for author in tree["authors"])
    datetime.date.fromisoformat(tree["date-released"])


def test_version_and_licence_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tree = citation()
    assert (tree["title"], tree["version"]) == (project["name"], project["version"])
    assert tree["license"] == project["license"]
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = rf"^## \[{re.escape(tree['version'])}\] - {tree['date-released']}$"
    assert re.search(released, changes, re.MULTILINE)


def test_it_cites_the_paper():
    (paper,) = citation()["references"]
    assert (paper["type"], paper["year"], paper["volume"]) == ("article", 2025, "5")
    assert paper["authors"][0]["family-names"] == "Leroux"
    assert "arXiv:2409.19315" in [of["value"] for of in paper["identifiers"]]
