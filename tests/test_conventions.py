"""What the sources of every package keep to."""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "analog_models", "hdl", "cosim", "ml", "estimate", "codesign")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PROCESSES = ("common/processes.py", "common/guardian.py")
# What starts programs or processes, and the modules that have it.
STARTERS = {"Popen", "ProcessPoolExecutor", "Process", "Pool", "get_context", "get_runner"}
STARTERS |= {"run", "call", "check_call", "check_output", "system", "fork", "popen", "posix_spawn"}
MODULES = {"asyncio", "cocotb_tools.runner", "concurrent.futures", "multiprocessing", "os"}
MODULES |= {"subprocess"}
NO_TEXT = ("os.open", "tarfile.open")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def without_encoding(path):
    """Lines that read or write text in the encoding of whoever runs them."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or (name := ast.unparse(node.func)) in NO_TEXT:
            continue
        given = {k.arg for k in node.keywords if ast.unparse(k.value) == "True"}
        words = [a.value for a in node.args if isinstance(a, ast.Constant)]
        words += [k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)]
        binary = any(isinstance(word, str) and word in ("rb", "wb", "ab", "r+b") for word in words)
        opens = name.endswith((".open", ".read_text", ".write_text")) or name in ("open", "fdopen")
        if (opens or {"text", "universal_newlines"} & given) and not (binary or "utf-8" in words):
            yield node.lineno


def test_text_files_are_in_utf_8_whatever_the_locale():
    found = [f"{name_of(path)}:{line}" for path in SOURCES for line in without_encoding(path)]
    assert found == []


def test_a_file_without_an_encoding_is_found(tmp_path):
    path = tmp_path / "some.py"
    lines = (
        "path.read_text()",
        "path.write_text(text)",
        "open(path)",
        'open(path, "w")',
        "path.open()",
        'path.open("a")',
        "run(command, text=True)",
    )
    path.write_text("\n".join(lines))
    assert list(without_encoding(path)) == list(range(1, len(lines) + 1))
    path.write_text(
        'path.read_text("utf-8")\npath.write_text(text, "utf-8")\nopen(path, "rb")\n'
        'path.open("wb")\npath.open(encoding="utf-8")\nread_text(handle)\n'
    )
    assert list(without_encoding(path)) == []


def test_one_module_starts_programs_and_processes():
    for path in SOURCES:
        if name_of(path) in PROCESSES:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in MODULES:
                assert not {alias.name for alias in node.names} & (STARTERS - {"Popen"}), path
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) != "Popen", path
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in MODULES:
                assert node.attr not in STARTERS, path


def test_every_command_runs_in_run_command():
    for path in SOURCES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
                last = ast.unparse(node.body[-1])
                assert last.startswith("run_command(main") or name_of(path) in PROCESSES, path


def test_no_package_is_forgotten():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    assert tuple(settings["coverage"]["run"]["source"]) == PACKAGES
    assert tuple(settings["importlinter"]["root_packages"]) == PACKAGES
    assert tuple(settings["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES
    assert {*PACKAGES, "tests", "examples"} == {*settings["pyright"]["include"]}


# Names with an underscore that libraries document, or have no other way to.
PUBLIC = {
    "_actions",  # argparse: the options of a parser
    "_SubParsersAction",
    "_asdict",  # typing.NamedTuple
    "_attn_implementation",  # transformers: which attention a configuration chose
    "_exit",  # os
    "_fields",
    "_replace",
}
REACHING = ("setattr", "delattr", "getattr", "hasattr", "object")  # take a name as text


def is_private(name):
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC


def private_names(path):
    """Lines that reach into what another module or object keeps for itself."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            names = [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(REACHING):
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            names = [part for text in texts if isinstance(text, str) for part in text.split(".")]
        yield from (f"{getattr(node, 'lineno', 0)}: {name}" for name in names if is_private(name))


def test_no_test_reaches_into_private_names():
    tests = sorted((ROOT / "tests").rglob("*.py"))
    found = [f"{name_of(path)}:{line}" for path in tests for line in private_names(path)]
    assert found == []


def test_a_private_name_is_found(tmp_path):
    path = tmp_path / "some.py"
    path.write_text(
        "from cosim.run.job import _arrays\n"
        "job._arrays()\n"
        'monkeypatch.setattr(job, "_arrays", None)\n'
        'monkeypatch.setattr("cosim.run.job._arrays", None)\n'
        'mock.patch.object(job, "_arrays")\n'
        "job.__class__, row._replace(), self._job, cls._job\n",
        "utf-8",
    )
    assert sorted(private_names(path)) == [f"{line}: _arrays" for line in range(1, 6)]
