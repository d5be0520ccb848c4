import pytest

from hdl.synth.power import CellPower, weigh


def test_each_part_follows_its_own_pin():
    idle = CellPower(internal=8.0, switching=0.0, leakage=1.0)  # a flip-flop: its clock
    busy = CellPower(internal=10.0, switching=4.0, leakage=1.0)
    assert weigh(idle, busy, changes=0.0, clock_changes=0.0) == 1.0
    assert weigh(idle, busy, changes=0.0, clock_changes=2.0) == 9.0
    assert weigh(idle, busy, changes=0.5, clock_changes=1.0) == pytest.approx(1 + 4 + 3)


def test_a_closed_clock_gate_spares_its_load():
    gate = CellPower(internal=2.0, switching=6.0, leakage=0.0)  # clocked at any activity
    assert weigh(gate, gate, changes=0.0, clock_changes=2.0) == 2.0
    assert weigh(gate, gate, changes=2.0, clock_changes=2.0) == 8.0
