import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest

from analog_models.spec import Schedule, load_preset
from common.errors import ToolError
from hdl.emit import lint as module
from hdl.emit.lint import NAMES, WAIVERS, lint
from hdl.emit.verilog import emit, emit_core
from tests.hdl.clocked import small_spec

ONE_SCHEDULE = Schedule.sequential(write=6, reset=7, score=18, activate=21, settle=2, read_out=19)
SPECS = {
    "small": small_spec(),
    "sizes of no power of two": small_spec(
        geometry__head_dim=5, geometry__subtile=3, geometry__subtiles=5
    ),
    "smallest, fewer levels": small_spec(
        geometry__head_dim=1,
        geometry__subtile=2,
        geometry__subtiles=1,
        levels__q=4,
        levels__kv=4,
        levels__out_magnitude_bits=2,
    ),
    "one schedule": small_spec(schedules={"longer": ONE_SCHEDULE}),
}
HEADS = {"small": 3, "sizes of no power of two": 1, "smallest, fewer levels": 4, "one schedule": 2}
FILES = [f"attention_{top}{view}.v" for top in ("head", "core") for view in ("", "_simulation")]
WARNING = re.compile(r"%Warning-(\w+): \S+: (.*)")
WAIVER = re.compile(r'lint_off -rule (\w+)(?: -file "\*" -match "(.*)")?')


@pytest.fixture(scope="module")
def emitted(tmp_path_factory):
    """Paths of the Verilog of a head and of a core of each specification."""
    folders = {name: tmp_path_factory.mktemp(f"spec{n}") for n, name in enumerate(SPECS)}
    for name, folder in folders.items():
        emit(SPECS[name], folder)
        emit_core(SPECS[name], HEADS[name], folder)
    return {name: [folder / file for file in FILES] for name, folder in folders.items()}


@pytest.mark.parametrize("name", SPECS)
def test_verilator_has_no_warning_that_is_not_waived(emitted, name):
    assert [lint(path) for path in emitted[name]] == [""] * len(FILES)


def test_nor_for_the_head_of_the_preset(tmp_path):
    emit(load_preset(), tmp_path)
    assert [lint(tmp_path / file) for file in FILES[:2]] == ["", ""]


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "heads"), [(64, 4), (128, 2)])
def test_nor_for_cores_at_full_size(dim, heads, tmp_path):
    spec = load_preset().replace(geometry__head_dim=dim)
    emit(spec, tmp_path)
    emit_core(spec, heads, tmp_path)
    assert [lint(tmp_path / file) for file in FILES] == [""] * len(FILES)


@pytest.mark.parametrize(("waivers", "view"), [(WAIVERS, True), (NAMES, False)])
def test_every_waiver_is_needed_and_says_why(emitted, waivers, view):
    paths = [path for paths in emitted.values() for path in paths[view::2]]
    said = "\n".join(lint(path, ()) for path in paths)
    warnings = set(WARNING.findall(said))
    reason = False
    for line in waivers.read_text().splitlines():
        reason = line.startswith("//") or (reason and line != "")
        if waiver := WAIVER.fullmatch(line):
            assert reason, f"{line}: no comment before it"
            rule, pattern = waiver[1], (waiver[2] or "*").replace("[", "[[]")
            assert any(r == rule and fnmatchcase(text, pattern) for r, text in warnings), line
        else:
            assert not line.startswith("lint_off"), line


def test_a_lost_bit_and_a_wire_without_a_reader_are_told(emitted, tmp_path):
    text = emitted["small"][1].read_text()
    path = tmp_path / "attention_head_simulation.v"
    fault = "  wire [3:0] lost;\n  assign lost = window_length + 5'h10;\n"
    path.write_text(text.replace("\nendmodule", f"\n{fault}endmodule", 1))
    said = lint(path)
    assert "WIDTHTRUNC" in said and "Signal is not used: 'lost'" in said
    handed_out = tmp_path / "attention_head.v"
    text = emitted["small"][0].read_text()
    handed_out.write_text(text.replace("\nendmodule", f"\n{fault}endmodule", 1))
    assert "WIDTHTRUNC" in lint(handed_out)


def test_a_missing_verilator_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_module", lambda name: None)
    with pytest.raises(ToolError, match="Verilator is not installed: `make lint-verilog` installs"):
        lint(tmp_path / "attention_head.v")


def command(*arguments):
    line = [sys.executable, "-m", "hdl.emit.lint", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=os.environ)


def test_the_command_lints_head_and_core_of_a_specification(tmp_path):
    spec = tmp_path / "small.json"
    spec.write_text(json.dumps(small_spec().to_tree()))
    done = command("--spec", spec, "--heads", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"{tmp_path}/attention_head.v: a head of small, clean",
        f"{tmp_path}/attention_head_simulation.v: simulation view of a head of small, clean",
        f"{tmp_path}/attention_core.v: a core of 2 heads of small, clean",
        f"{tmp_path}/attention_core_simulation.v: simulation view of a core of 2 heads of small, "
        "clean",
    ]
