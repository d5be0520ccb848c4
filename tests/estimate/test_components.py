"""Each component by hand: what an action costs from its own formula."""

from analog_models.spec import load_preset
from estimate.circuits.arrays import GainCellArray
from estimate.circuits.buffers import TokenBuffer
from estimate.circuits.converters import ChargeToPulse
from estimate.circuits.drivers import Dac, LineDriver
from estimate.circuits.routing import Wires
from estimate.references import CIRCUITS
from tests.estimate.si import approx

SPEC = load_preset()
TABLE = CIRCUITS.with_values({"cell.unit_charge_c": 10e-15})
ARRAY = GainCellArray(SPEC, TABLE)


def test_array():
    assert ARRAY.cells == 64 * 64 and ARRAY.area_m2 == approx(4096e-12)
    line_f = 64 * (0.2e-15 + 0.1e-15)
    assert ARRAY.line_f(64) == approx(line_f)
    assert ARRAY.drive(64).energy_j == approx(line_f * 0.81)
    assert ARRAY.integrate(100, 20).energy_j == approx(0.9 * 10e-15 * 60)
    assert ARRAY.integrate(100, 20).latency_s == approx(15e-9)
    assert ARRAY.store(0.5).energy_j == approx(2e-15 * 0.81 / 2)
    assert ARRAY.leakage_w == approx(4096 * 2e-15 * 0.45 / 5e-3 * 0.9)


def test_long_heads_have_arrays_of_the_longest_line():
    array = GainCellArray(SPEC.replace(geometry__head_dim=128), TABLE)
    assert array.lines == 64 and array.cells == 4096


def test_charge_to_pulse():
    unsigned, signed = (ChargeToPulse(SPEC, TABLE, kind) for kind in (False, True))
    assert unsigned.capacitor_f == approx(80 * 10e-15 / 0.45)
    assert signed.capacitor_f == approx(unsigned.capacitor_f / 2)
    bias_a = 2 * 10e-15 * 0.45 / 0.5e-9
    assert unsigned.bias_a == approx(bias_a)
    assert unsigned.watch(15).energy_j == approx(0.9 * bias_a * 15e-9)
    assert signed.watch(15).energy_j == approx(2 * unsigned.watch(15).energy_j)
    double = ChargeToPulse(SPEC, TABLE, False, capacitors=2)
    extra_m2 = double.area_m2 - unsigned.area_m2
    assert extra_m2 == approx(unsigned.capacitor_f / 11.1e-3)


def test_dac():
    dac = Dac(SPEC, TABLE)
    assert dac.line_f == approx(1024 * 0.3e-15)
    assert dac.bias_a == approx(dac.line_f * 0.9 / 3e-9)
    assert dac.hold(65).energy_j == approx(0.9 * dac.bias_a * 65e-9)
    assert dac.write(0.25).energy_j == approx(dac.line_f * 0.81 / 4)


def test_wires():
    wires = Wires(SPEC, TABLE, 0.5e-6)
    assert wires.tree(16).energy_j == approx(0.76 * (16 * 0.5e-6) ** 0.5 * 2e-10 * 0.81)
    assert wires.link().energy_j == approx(0.667 * 0.5e-6**0.5 * 2e-10 * 0.81)
    assert wires.area_m2 == approx(0.05e-6)


def test_small_things():
    assert LineDriver(SPEC, TABLE).area_m2 == 2e-12 and LineDriver(SPEC, TABLE).leakage_w == 0
    assert TokenBuffer(SPEC, TABLE).take().energy_j == 4e-15
    assert TokenBuffer(SPEC, TABLE).area_m2 == approx(1.7e-12 / 0.7)
