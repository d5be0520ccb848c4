import pytest

from hdl.head import control_intervals
from hdl.sequencer import PhaseSequencer
from tests.hdl.clocked import run, small_spec


@pytest.fixture
def intervals():
    return control_intervals(small_spec())


async def levels(ctx, dut, intervals):
    return {name for name in intervals if ctx.get(getattr(dut.active, name))}


def test_every_output_is_high_in_its_interval_only(intervals):
    dut = PhaseSequencer(intervals, hold_at=intervals["reset"].start)

    async def testbench(ctx):
        await ctx.tick().repeat(3)
        assert ctx.get(dut.ready) and not await levels(ctx, dut, intervals)
        ctx.set(dut.start, 1)
        for token in range(3):  # back to back: the next starts with the edge that ends this one
            for cycle in range(65):
                await ctx.tick()
                ctx.set(dut.start, token < 2)
                expected = {name for name, interval in intervals.items() if cycle in interval}
                assert await levels(ctx, dut, intervals) == expected, f"cycle {cycle}"
                assert ctx.get(dut.done) == ctx.get(dut.ready) == (cycle == 64)
        await ctx.tick()
        assert ctx.get(dut.ready) and not await levels(ctx, dut, intervals)

    run(dut, testbench)


@pytest.mark.parametrize("wait", [1, 2, 30])
def test_hold_stops_the_clock_of_a_token_in_reset_only(intervals, wait):
    dut = PhaseSequencer(intervals, hold_at=intervals["reset"].start)

    async def testbench(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.hold, 1)
        start = intervals["reset"].start
        for _ in range(start):
            await ctx.tick()
        for _ in range(wait):
            assert await levels(ctx, dut, intervals) == {"reset"}
            await ctx.tick()
        ctx.set(dut.hold, 0)
        await ctx.tick()
        ctx.set(dut.hold, 1)  # too late for this token
        cycles = start + 1
        while not ctx.get(dut.done):
            await ctx.tick()
            cycles += 1
        assert cycles == 64

    run(dut, testbench)


def test_a_start_while_a_token_is_under_way_is_ignored(intervals):
    dut = PhaseSequencer(intervals, hold_at=intervals["reset"].start)

    async def testbench(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick().repeat(20)
        assert ctx.get(dut.active.score) and not ctx.get(dut.ready)

    run(dut, testbench)
