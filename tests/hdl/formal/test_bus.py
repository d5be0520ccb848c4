"""Further broken variants of port and registers: each is caught by the property that names it."""

import pytest

from hdl.formal.catalogue import PROPERTIES
from hdl.formal.design import Design, Patch
from hdl.formal.solver import solve

KEEP = "self._ones() | (written & ~self._strobed())"
FITS = "setting.eq(Mux(beyond, 0, written[: len(setting)]))"
CARRY_OUT = "self.write.eq(has_address & has_data & ~bus.bvalid)"
VARIANTS = [
    ("core-schedule-is-as-written", "registers", FITS, "setting.eq(written[: len(setting)])"),
    ("core-schedule-is-as-written", "registers", KEEP, "self._ones()"),
    ("core-window-is-as-written", "registers", KEEP, "self._ones()"),
    ("core-window-is-as-written", "window", "(asked != 0) & (asked <= slots)", "asked != 0"),
    ("core-bus-is-registered", "axi_lite", "awready.eq(~has_address)", "awready.eq(bus.awvalid)"),
    ("registers-are-as-documented", "registers", FITS, "setting.eq(written[: len(setting)])"),
    ("registers-are-as-documented", "registers", "If((kept == 0) &", "If((flags == 0) &"),
    ("registers-are-as-documented", "registers", "here & self._port.strobe.any()", "here"),
    ("registers-are-as-documented", "registers", "0, count) + step", "0, count + step)"),
    ("registers-are-as-documented", "registers", "port.read_error.eq(1)", "port.read_error.eq(0)"),
    ("bus-one-response-per-access", "axi_lite", "bus.bvalid & bus.bready", "bus.bready"),
    ("bus-one-response-per-access", "axi_lite", "Elif(bus.rready)", "Elif(1)"),
    ("bus-one-response-per-access", "axi_lite", CARRY_OUT, "self.write.eq(has_data & ~bus.bvalid)"),
    ("bus-access-carried-out-once", "axi_lite", "read_error << 1", "read_error"),
    ("bus-access-carried-out-once", "axi_lite", "bus.wvalid & bus.wready", "bus.wvalid"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module", "old", "new"), VARIANTS)
def test_a_fault_is_caught(name, module, old, new, tmp_path):
    (item,) = (item for item in PROPERTIES if item.name == name)
    monitor = item.watch(Design(Patch(module, old, new, "")), item.spec)
    assert solve(monitor, tmp_path, "bmc", item.caught_within).status == "FAIL"
