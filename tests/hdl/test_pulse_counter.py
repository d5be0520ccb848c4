import random

import pytest

from hdl.pulse_counter import PulseCounter
from tests.hdl.clocked import run, small_spec


def lanes_of(total, width, lanes):
    fields = [total >> width * lane & (1 << width) - 1 for lane in range(lanes)]
    return [field - (1 << width) if field >> width - 1 else field for field in fields]


@pytest.mark.parametrize("subtiles", [1, 3, 16])
def test_sums_signed_counts_over_the_subtiles(subtiles):
    spec = small_spec(geometry__subtiles=subtiles)
    dim, lanes = 4, 4 * subtiles
    dut = PulseCounter(spec)
    width = len(dut.total) // dim
    rng = random.Random(subtiles)

    async def testbench(ctx):
        for trial in range(40):
            extreme = {0: 15, 1: -15, 2: 0}.get(trial)
            counts = [rng.randint(-15, 15) if extreme is None else extreme for _ in range(lanes)]
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            ctx.set(dut.negative, sum((count < 0) << lane for lane, count in enumerate(counts)))
            ctx.set(dut.sample, 1)
            for cycle in range(15):
                pulses = sum((abs(count) > cycle) << lane for lane, count in enumerate(counts))
                ctx.set(dut.pulse, pulses)
                await ctx.tick()
            ctx.set(dut.sample, 0)
            ctx.set(dut.pulse, rng.randrange(1 << lanes))  # nobody looks any more
            await ctx.tick()
            assert ctx.get(dut.total) == 0
            ctx.set(dut.show, 1)
            await ctx.tick().repeat(rng.randint(1, 4))
            expected = [sum(counts[lane::dim]) for lane in range(dim)]
            assert lanes_of(ctx.get(dut.total), width, dim) == expected
            ctx.set(dut.show, 0)

    run(dut, testbench)
