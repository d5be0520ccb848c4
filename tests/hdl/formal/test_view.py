"""A simulation view is proved to be the Verilog that it stands for, and a damaged one is not."""

import pytest

from analog_models.spec import load_preset
from common.errors import ToolError
from hdl.emit.verilog import CORE, TOP, VIEW, emit, emit_core
from hdl.formal.view import prove_view
from hdl.synth.switching import TokenBench
from tests.hdl.clocked import small_spec


def test_the_view_of_the_head_of_the_preset_is_its_verilog(tmp_path):
    emit(load_preset(), tmp_path)
    proof = prove_view(TOP, tmp_path)
    assert (proof.top, proof.fault) == (TOP, "") and proof.bits > 20_000


@pytest.mark.parametrize("heads", [1, 3])
def test_so_is_that_of_a_core(heads, tmp_path):
    emit_core(small_spec(), heads, tmp_path)
    proof = prove_view(CORE, tmp_path)
    assert not proof.fault and proof.bits > 1_000


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    folder = tmp_path_factory.mktemp("head")
    emit(small_spec(), folder)
    return folder, (folder / f"{TOP}{VIEW}.v").read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" & ", " | "),  # logic
        ("+ 1'h1", "+ 2'h2"),
        (" <= ", " <= ~"),  # a register's next value
        ("posedge", "negedge"),
        ("chosen = 2'h0;", "chosen = 2'h1;"),  # its initial value
        ("chosen = 2'h0;", "chosen;"),
        (".rst(rst)", ".rst(1'h0)"),  # a port of an instance
        (".clear(", ".convert_("),
        (r"wire [", r"wire [1:0] odd; wire ["),  # of no effect
    ],
)
def test_a_damaged_view_is_not(head, old, new):
    folder, text = head
    assert old in text
    (folder / f"{TOP}{VIEW}.v").write_text(text.replace(old, new, 1))
    try:
        fault = prove_view(TOP, folder).fault
    except ToolError as error:
        fault = str(error)
    assert fault.startswith(("not proved equal at ", "Yosys failed: see ")) != ("odd" in new)


def test_both_give_the_same_results_in_icarus(tmp_path):
    """Which evaluates the assignments of a block in their order; a proof does not."""
    spec = small_spec()
    contract = emit(spec, tmp_path)
    one, other = (
        TokenBench.compiled([tmp_path / f"{TOP}{view}.v"], contract, tmp_path)
        for view in ("", VIEW)
    )
    for schedule in range(len(spec.schedules)):
        assert one.run(schedule) == other.run(schedule)
        assert one.run(schedule)[0]
