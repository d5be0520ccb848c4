"""A reset alone brings a head, and a core, to a known state."""

import re

import pytest

from common.errors import ToolError
from cosim.closure import unknown
from cosim.closure.stimulus import closure_spec
from cosim.closure.unknown import unknown_pins, without_initial_values
from hdl.emit.verilog import CORE, TOP, VIEW, emit, emit_core

SPEC = closure_spec()
RESET_OF_WINDOW = re.compile(r"(control\.window +window \([^;]*\.rst\()rst")


@pytest.fixture(scope="module", params=["", VIEW], ids=["verilog", "simulation view"])
def head(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("head")
    contract = emit(SPEC, folder)
    path = folder / f"{TOP}{request.param}.v"
    return without_initial_values(path.read_text()), contract, folder


def test_no_register_keeps_its_initial_value(head):
    text, _, _ = head
    assert not re.findall(r"^  reg .*= \d+'", text, re.MULTILINE)
    assert re.search(r"^  reg .*= *0;$", text, re.MULTILINE)  # start the simulator; no registers


def test_every_pin_of_a_head_is_known_after_reset(head):
    text, contract, folder = head
    assert unknown_pins(text, contract, 1500, folder) == []


@pytest.mark.parametrize("view", ["", VIEW], ids=["verilog", "simulation view"])
def test_every_pin_of_a_core_is_known_after_reset(view, tmp_path):
    contract = emit_core(SPEC, 2, tmp_path)
    text = without_initial_values((tmp_path / f"{CORE}{view}.v").read_text())
    assert unknown_pins(text, contract, 1000, tmp_path) == []


def test_a_register_that_is_not_reset_is_found(head):
    text, contract, folder = head
    broken = RESET_OF_WINDOW.sub(r"\1 1'h0", text)
    assert broken != text
    found = unknown_pins(broken, contract, 600, folder)
    assert found and all(re.fullmatch(r"cycle \d+: \w+", line) for line in found)


def test_a_reset_that_never_comes_is_found(head):
    text, contract, folder = head
    broken = text.replace(".rst(rst)", ".rst(1'h0)")
    assert "cycle 0: token__ready" in unknown_pins(broken, contract, 3, folder)


def test_a_missing_simulator_is_named(head, monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(unknown, "run", missing)
    with pytest.raises(ToolError, match="Icarus Verilog"):
        unknown_pins("", {**head[1], "ports": []}, 1, head[2])
