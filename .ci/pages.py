"""Pages of the site that do not lie in docs/: README and its like, notebooks, reference of modules.

A hook of MkDocs (mkdocs.yml). Links between files of the repository become links between pages; a
link to a file that is no page becomes its name.
"""

import base64
import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "analog_models", "hdl", "cosim", "ml", "estimate", "codesign")
# Files of the repository that are pages, and where the site has them.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "ml/MODEL_CARD.md": "model-card.md",
}
FOLDERS = {"examples": "examples/a-weight-becomes-charge.md", "docs": "index.md"}
LINK = re.compile(r"(!?\[[^\]\n]*(?:\n[^\]\n]*)?\])\(([^)\s]+)\)")
# What a browser would fetch from elsewhere to show a page.
LOADS = re.compile(
    r"""<(?:script|img|iframe|source|embed)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'>]*"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?(?:https?:)?//[^"'>]*"""
    r"""|(?:url\(|@import\s+)["']?(?:https?:)?//[^"')]*"""
)
ADDRESS = re.compile(r"[a-z]+:|#")


def page_of(path: str) -> str | None:
    """Where the site has a file of the repository; None for one that it does not have."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("examples/"):
        return str(Path(path).with_suffix(".md"))
    return PAGES.get(path) or FOLDERS.get(path.rstrip("/"))


def relinked(text: str, source: str, page: str) -> str:
    """Markdown of the repository's file `source` with the links that the site's `page` needs.

    Raises PluginError for a link to a file that is not there.
    """

    def link(match: re.Match[str]) -> str:
        words, target = match.groups()
        if ADDRESS.match(target):
            return match[0]
        name, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        if not (ROOT / path).exists():
            raise PluginError(f"{source}: links to {target}, which is not there")
        found = page_of(path)
        if found is None:
            return words[words.index("[") + 1 : -1]
        to = posixpath.relpath(found, posixpath.dirname(page) or ".")
        return f"{words}({to}{'#' if anchor else ''}{anchor})"

    return LINK.sub(link, text)


def notebook(source: str, page: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as the site's `page` with its outputs, and the images of these by name."""
    parts, images, path = [], {}, ROOT / source
    for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"]):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(relinked(text, source, page))
            continue
        parts.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            if output.get("name") == "stdout":
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
            if image := output.get("data", {}).get("image/png"):
                name = f"{path.stem}-{number}.png"
                images[name] = base64.b64decode(image)
                parts.append(f"![Plot of the cell above]({name})")
    return "\n\n".join(parts) + "\n", images


def module_names(package: str) -> list[str]:
    """Every module of a package whose names are public, in the order of their names."""
    paths = sorted((ROOT / package).rglob("*.py"))
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in paths]
    names = [name.removesuffix("/__init__").replace("/", ".") for name in names]
    return [name for name in names if not name.endswith("__main__")]


def reference() -> dict[str, str]:
    """The reference, a page for each room: Markdown by page."""
    pages, index = {}, ["# Modules\n\nEvery public name, room by room.\n"]
    for package in PACKAGES:
        rooms: dict[str, list[str]] = {}
        for name in module_names(package):
            is_room = (ROOT / name.replace(".", "/")).is_dir()
            rooms.setdefault(name if is_room else name.rpartition(".")[0], []).append(name)
        index.append(f"## {package}\n")
        for room, names in rooms.items():
            blocks = "\n\n".join(f"::: {name}" for name in names)
            pages[f"reference/{room}.md"] = f"# {room}\n\n{blocks}\n"
            modules = ", ".join(f"`{name.rpartition('.')[2]}`" for name in names if name != room)
            index.append(f"- [{room}]({room}.md): {modules or 'itself'}")
        index.append("")
    return {**pages, "reference/index.md": "\n".join(index)}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""

    def add(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    for source, page in PAGES.items():
        add(page, relinked((ROOT / source).read_text("utf-8"), source, page))
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        page = f"examples/{path.stem}.md"
        text, images = notebook(f"examples/{path.name}", page)
        add(page, text)
        for name, image in images.items():
            add(f"examples/{name}", image)
    code = (ROOT / "examples" / "gpt.py").read_text("utf-8")
    add("examples/gpt.md", f"# A GPT in one file\n\n`examples/gpt.py`:\n\n```python\n{code}```\n")
    for name, text in reference().items():
        add(name, text)
    add("colours.css", HtmlFormatter().get_style_defs(".highlight"))
    config["extra_css"].append("colours.css")
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Pages of docs/ link to files beside docs/, too."""
    source = page.file.src_uri
    lies_in_docs = (ROOT / "docs" / source).exists()
    return relinked(markdown, f"docs/{source}", source) if lies_in_docs else markdown


def on_post_build(config: Any) -> None:
    """Raise PluginError if a page loads anything from a network."""
    pages = Path(config["site_dir"]).rglob("*")
    for path in sorted(path for path in pages if path.suffix in (".html", ".css")):
        if found := LOADS.search(path.read_text("utf-8")):
            raise PluginError(f"{path}: loads from elsewhere: {found[0]}")
