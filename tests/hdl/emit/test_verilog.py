import hashlib
import json
import os
import subprocess
import sys

import pytest
from amaranth.back import verilog

from analog_models.spec import load_preset
from hdl.emit.contract import simulated
from hdl.emit.verilog import emit, emit_core
from hdl.head import AttentionHead
from tests.hdl.clocked import small_spec


@pytest.mark.parametrize("spec", [load_preset(), small_spec()], ids=["full", "small"])
def test_the_contract_describes_the_verilog(spec, tmp_path):
    contract = emit(spec, tmp_path)
    text = (tmp_path / "attention_head.v").read_text()
    assert json.loads((tmp_path / "attention_head.json").read_text()) == contract
    assert contract["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    view = (tmp_path / "attention_head_simulation.v").read_bytes()
    path, sha256 = simulated(tmp_path / "attention_head.json")
    assert path.read_bytes() == view and sha256 == hashlib.sha256(view).hexdigest()
    assert contract["spec_hash"] == spec.hash
    header = text[text.index("module attention_head(") :].split("endmodule")[0]
    for port in contract["ports"]:
        width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        assert f"\n  {port['direction']} {width}{port['name']};\n" in header
    token = {port["name"]: port["width"] for port in contract["ports"]}["token__payload"]
    fields = contract["payloads"]["token__payload"].values()
    assert sum(field["lanes"] * field["bits"] for field in fields) == token


def test_what_is_handed_out_is_what_amaranth_writes(tmp_path):
    spec = small_spec()
    emit(spec, tmp_path)
    written = verilog.convert(
        AttentionHead(spec), name="attention_head", emit_src=False, strip_internal_attrs=True
    )
    assert (tmp_path / "attention_head.v").read_text() == written


def test_the_paper_latency_is_in_the_contract(tmp_path):
    contract = emit(load_preset("leroux2025"), tmp_path)
    assert contract["schedules"]["leroux2025"]["latency_cycles"] == 65
    assert contract["clock"]["period_ps"] == 1000


def test_the_same_specification_gives_the_same_verilog(tmp_path):
    spec = small_spec()
    assert emit(spec, tmp_path / "a")["sha256"] == emit(spec, tmp_path / "b")["sha256"]


def test_the_contract_of_a_core_names_its_heads_and_registers(tmp_path):
    contract = emit_core(small_spec(), 2, tmp_path)
    assert json.loads((tmp_path / "attention_core.json").read_text()) == contract
    ports = {port["name"] for port in contract["ports"]}
    assert {"pins__0__phi", "pins__1__phi", "bus__awaddr", "error"} <= ports
    assert contract["registers"][3]["address"] == 12 and contract["heads"] == 2


@pytest.mark.parametrize("module", ["hdl.emit.verilog", "hdl.emit.lint"])
@pytest.mark.parametrize(("heads", "allowed"), [(0, "1 up"), (33, "1 to 32"), (-1, "1 up")])
def test_a_number_of_heads_out_of_range_is_told(module, heads, allowed, tmp_path):
    command = [sys.executable, "-m", module, f"--heads={heads}", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stdout) == (2, "")
    expected = f"error: argument --heads: '{heads}': needs a whole number from {allowed}\n"
    assert done.stderr.endswith(expected)
    assert not [*tmp_path.iterdir()]


LIBRARY_CALL = """
import sys
from pathlib import Path
from common.errors import SpecError
from hdl.emit.verilog import emit, emit_core
from tests.hdl.clocked import small_spec
emit(small_spec(), Path(sys.argv[1]))
try:
    emit_core(small_spec(), 33, Path(sys.argv[1]))
except SpecError as error:
    print(error)
"""


def test_an_error_of_a_core_is_all_that_is_told(tmp_path):
    """Once it has written Verilog, Amaranth warns of every component of which there is none."""
    command = [sys.executable, "-c", LIBRARY_CALL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert (done.stdout, done.stderr) == ("heads = 33: allowed 1 to 32\n", "")
    assert not (tmp_path / "attention_core.v").exists()
