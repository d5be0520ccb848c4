"""The pages: all in the navigation, links that lead somewhere, commands that are there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Pages that .ci/pages.py makes of other files.
MADE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "model-card.md": "ml/MODEL_CARD.md",
}
SOURCES = sorted([*(ROOT / name for name in MADE.values()), *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)


def pages(tree):
    if isinstance(tree, str):
        return [tree]
    children = tree.values() if isinstance(tree, dict) else tree
    return [page for child in children for page in pages(child)]


def configuration():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))


def code(path):
    """What stands in backticks or in blocks of code."""
    text = path.read_text("utf-8")
    return re.findall(r"`([^`\n]+)`", text) + re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def test_every_page_is_in_the_navigation_once():
    nav = pages(configuration()["nav"])
    there = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    notebooks = [f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.ipynb")]
    expected = [*there, *MADE, *notebooks, "examples/gpt.md", "reference/index.md"]
    assert sorted(nav) == sorted(expected)


def test_the_site_is_strict_and_loads_nothing_from_elsewhere():
    tree = configuration()
    assert tree["strict"] is True
    assert tree["theme"]["highlightjs"] is False
    assert "://" not in yaml.safe_dump({name: tree[name] for name in tree if name != "nav"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_that_are_there(path):
    links = LINK.findall(path.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_are_there(path):
    targets = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    named = code(path)
    asked = {target for part in named for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", part)}
    assert asked - targets == set()
    modules = {m for part in named for m in re.findall(r"\bpython -m ([a-z_.]+[a-z_])", part)}
    ours = {m.replace(".", "/") for m in modules if (ROOT / m.partition(".")[0]).is_dir()}
    missing = [m for m in sorted(ours) if not any((ROOT / f).exists() for f in (f"{m}.py", m))]
    assert missing == []
