import pytest

from analog_models.errors import SpecError
from hdl.head import control_intervals
from hdl.write_scheduler import WriteScheduler, strobe_interval
from tests.hdl.clocked import run_comb, small_spec


def test_the_dacs_drive_keys_or_values():
    dut = WriteScheduler(small_spec())

    async def testbench(ctx):
        ctx.set(dut.k, 0o1234)
        ctx.set(dut.v, 0o7650)
        ctx.set(dut.slot, 9)
        for write_v, code in ((0, 0o1234), (1, 0o7650)):
            ctx.set(dut.write_v, write_v)
            ctx.set(dut.strobe_k, not write_v)
            ctx.set(dut.strobe_v, write_v)
            assert ctx.get(dut.port.code) == code
            assert ctx.get(dut.port.slot) == 9
            assert (ctx.get(dut.port.strobe_k), ctx.get(dut.port.strobe_v)) == (
                1 - write_v,
                write_v,
            )

    run_comb(dut, testbench)


def test_a_strobe_lies_inside_its_phase_with_the_guard_on_both_sides():
    spec = small_spec(schedule__dac_guard=2, schedule__write_k=7)
    assert strobe_interval(spec, spec.schedule.phases["write_k"]) == range(2, 5)
    strobes = control_intervals(spec)
    assert not set(strobes["strobe_k"]) & set(strobes["strobe_v"])


def test_a_phase_too_short_for_a_strobe_is_refused():
    with pytest.raises(SpecError, match=r"schedule.write_k = 4: allowed 5 to 4096"):
        small_spec(schedule__dac_guard=2, schedule__write_k=4)
