import random

import pytest

from hdl.pulse_generator import PulseGenerator
from tests.hdl.clocked import run, small_spec


@pytest.mark.parametrize("run_cycles", [15, 17, 25])
def test_a_pulse_lasts_its_code_and_rises_with_the_others(run_cycles):
    dut = PulseGenerator(small_spec(geometry__head_dim=8))
    rng = random.Random(run_cycles)

    async def testbench(ctx):
        for codes in [
            [0] * 8,
            [15] * 8,
            *[[rng.randrange(16) for _ in range(8)] for _ in range(9)],
        ]:
            ctx.set(dut.code, sum(code << 4 * lane for lane, code in enumerate(codes)))
            ctx.set(dut.load, 1)
            await ctx.tick()
            ctx.set(dut.load, 0)
            ctx.set(dut.code, rng.randrange(1 << 32))
            ctx.set(dut.run, 1)
            for cycle in range(run_cycles):
                await ctx.tick()
                expected = sum((cycle < code) << lane for lane, code in enumerate(codes))
                assert ctx.get(dut.pulse) == expected, f"cycle {cycle} of {codes}"
            ctx.set(dut.run, 0)
            await ctx.tick()
            assert ctx.get(dut.pulse) == 0

    run(dut, testbench)
