import pytest
from amaranth import Signal

from common.errors import ToolError
from hdl.formal import solver
from hdl.formal.design import Design
from hdl.formal.property_circuit import Monitor
from hdl.formal.solver import circuit, solve
from hdl.formal.specs import FEW_SLOTS


@pytest.fixture
def watch():
    design = Design()
    return Monitor(design, design.window.WindowPointer(FEW_SLOTS))


def test_what_holds_is_proved(watch, tmp_path):
    watch.always(watch.dut.slot < 8, "it has three bits")
    outcome = solve(watch, tmp_path, "prove", 1)
    assert (outcome.status, outcome.failed, outcome.trace) == ("PASS", "", None)


def test_what_does_not_hold_is_refuted_with_a_trace(watch, tmp_path):
    watch.always(watch.dut.slot < 2, "it gets to 2")
    outcome = solve(watch, tmp_path, "prove", 5)
    assert outcome.status == "FAIL"
    assert "test_solver.py" in outcome.failed
    assert outcome.trace and "$var" in outcome.trace.read_text()


def test_what_is_not_inductive_is_not_called_proved(watch, tmp_path):
    watch.always(watch.dut.slot < 6, "true, but not by itself")
    outcome = solve(watch, tmp_path, "prove", 2)
    assert outcome.status == "UNKNOWN"
    assert outcome.trace and outcome.trace.exists()


@pytest.mark.parametrize(("depth", "status"), [(3, "PASS"), (4, "FAIL")])
def test_a_bounded_check_ends_at_its_depth(watch, tmp_path, depth, status):
    watch.always(watch.dut.slot < 2, "three tokens are accepted before the fourth cycle")
    assert solve(watch, tmp_path, "bmc", depth).status == status


def test_a_monitor_cannot_be_converted_twice(watch):
    circuit(watch)
    with pytest.raises(RuntimeError, match="build another"):
        circuit(watch)


def test_a_register_is_found_by_name_and_a_wrong_name_told(watch):
    assert watch.register("filled").name == "filled"
    with pytest.raises(KeyError, match="no register nothing"):
        watch.register("nothing")
    assert "filled" in circuit(watch)


def test_an_assumption_restricts_the_solver(watch, tmp_path):
    watch.given(~watch.dut.advance)
    watch.always(watch.dut.slot == 0, "it never advances")
    assert solve(watch, tmp_path, "prove", 1).status == "PASS"


def test_a_choice_is_made_once(watch, tmp_path):
    chosen = watch.any_of(range(2, 5), "chosen")
    first, before = Signal(init=1), watch.past(chosen, "chosen")
    watch.m.d.sync += first.eq(0)
    watch.always((chosen >= 2) & (chosen < 5), "in the range")
    watch.always(first | (before == chosen), "for the whole run")
    assert solve(watch, tmp_path, "prove", 2).status == "PASS"


def test_a_missing_program_is_named(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(solver.shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="yowasp-sby is not on PATH: `make formal` installs it"):
        solve(watch, tmp_path, "bmc", 1)


def test_a_run_that_breaks_off_names_its_log(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(solver, "FILE", "[options]\nmode wrong\n")
    with pytest.raises(ToolError, match=r"SymbiYosys failed: see .*sby\.log"):
        solve(watch, tmp_path, "bmc", 1)
