import pytest

from common.errors import ToolError
from hdl.emit.verilog import TOP, emit
from hdl.synth import switching
from tests.hdl.clocked import small_spec

VCD = """
$scope module bench $end
$scope module head $end
$var wire 1 ! clk $end
$scope module control.cell_1 $end
$var wire 1 " Y $end
$var wire 1 ! CLK $end
$upscope $end
$var reg 2 # bus [1:0] $end
$upscope $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
0!
x"
b00 #
$end
#5
1!
1"
#10
0!
0"
b01 #
#15
1!
"""


def test_toggles_are_counted_between_known_levels(tmp_path):
    path = tmp_path / "x.vcd"
    path.write_text(VCD.lstrip())
    expected = {"clk": 1.5, "control/cell_1/Y": 0.5, "control/cell_1/CLK": 1.5}
    assert switching.toggles_per_cycle(path, 2) == expected


def test_random_tokens_run_without_a_gap(tmp_path):
    spec = small_spec()
    contract = emit(spec, tmp_path)
    bench = switching.TokenBench.compiled([tmp_path / f"{TOP}.v"], contract, tmp_path)
    results, measured = bench.run(record=True)
    assert measured.cycles_per_token == contract["schedules"]["leroux2025"]["period_cycles"]
    assert len(set(results)) > 3 and "x" not in "".join(results)
    toggles = switching.toggles_per_cycle(tmp_path / "activity.vcd", measured.cycles)
    assert toggles["clk"] == pytest.approx(2, abs=0.01)
    number = contract["schedules"]["pipelined"]["number"]
    silent, measured = bench.run(number, quiet=True)
    assert measured.cycles_per_token == contract["schedules"]["pipelined"]["period_cycles"]
    assert {int(result, 16) for result in silent} == {0}


def test_a_missing_simulator_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(switching.shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="iverilog is not on PATH: `make synth` installs it"):
        switching.TokenBench.compiled([], {}, tmp_path)
