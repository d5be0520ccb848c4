from hdl.write_scheduler import WriteScheduler
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
