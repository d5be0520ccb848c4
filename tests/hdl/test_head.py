import pytest

from hdl.head import AttentionHead
from tests.hdl.clocked import run, small_spec


@pytest.fixture
def dut():
    return AttentionHead(small_spec())


async def offer(ctx, dut, token):
    """Offer a token and return the cycles until it is accepted, that edge included."""
    ctx.set(dut.token.payload, token)
    ctx.set(dut.token.valid, 1)
    cycles = 1
    while not ctx.get(dut.token.ready):
        await ctx.tick()
        cycles += 1
    await ctx.tick()
    ctx.set(dut.token.valid, 0)
    return cycles


async def until(ctx, signal, limit=200):
    for cycles in range(limit):
        if ctx.get(signal):
            return cycles
        await ctx.tick()
    raise AssertionError(f"{signal} stayed low for {limit} cycles")


TOKEN = {"flush": 0, "query_only": 0, "q": [0, 1, 7, 15], "k": [1, 2, 3, 4], "v": [7, 6, 5, 0]}


@pytest.mark.parametrize(("schedule", "latency", "period"), [(0, 65, 65), (1, 52, 52), (2, 58, 21)])
def test_results_come_after_the_latency_and_tokens_follow_every_period(
    dut, schedule, latency, period
):
    async def testbench(ctx):
        ctx.set(dut.schedule, schedule)
        ctx.set(dut.result.ready, 1)
        await ctx.tick()
        await offer(ctx, dut, TOKEN)
        assert await until(ctx, dut.result.valid) == latency
        await ctx.tick()
        assert not ctx.get(dut.result.valid)
        await ctx.tick().repeat(10)
        await offer(ctx, dut, TOKEN)
        for _ in range(4):
            assert await offer(ctx, dut, TOKEN) == period

    run(dut, testbench)


def test_a_further_query_starts_later_and_writes_nothing(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        await offer(ctx, dut, TOKEN)
        assert await offer(ctx, dut, TOKEN | {"query_only": 1}) == 65
        slot = ctx.get(dut.pins.write.slot)
        for _ in range(55):
            assert not ctx.get(dut.pins.write.strobe_k) and not ctx.get(dut.pins.write.strobe_v)
            assert not ctx.get(dut.result.valid) or _ == 0
            await ctx.tick()
        assert ctx.get(dut.result.valid) and ctx.get(dut.pins.write.slot) == slot == 0

    run(dut, testbench)


@pytest.mark.parametrize("schedule", [0, 1, 2])
def test_a_schedule_takes_over_when_no_token_is_in_flight(dut, schedule):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        ctx.set(dut.schedule, 2)
        await ctx.tick().repeat(2)
        for _ in range(3):
            await offer(ctx, dut, TOKEN)
        ctx.set(dut.schedule, schedule)
        ctx.set(dut.token.valid, 1)
        results, latency = 0, [65, 52, 58][schedule]
        while not ctx.get(dut.token.ready):
            results += ctx.get(dut.result.valid)
            await ctx.tick()
        assert results == (1 if schedule == 2 else 3)
        await ctx.tick()
        ctx.set(dut.token.valid, 0)
        if schedule != 2:
            assert await until(ctx, dut.result.valid) == latency

    run(dut, testbench)


def test_two_capacitors_take_turns_where_tokens_overlap(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        ctx.set(dut.token.valid, 1)
        for schedule, turns in ((1, {0}), (2, {0, 1})):
            ctx.set(dut.schedule, schedule)
            await ctx.tick().repeat(120)
            seen, last = set(), None
            for _ in range(100):
                control = dut.control
                if ctx.get(control.score) and ctx.get(control.activate) and schedule == 2:
                    assert ctx.get(control.score_bank) != ctx.get(control.activate_bank)
                if ctx.get(control.activate) and last == 0:
                    seen.add(ctx.get(control.activate_bank))
                last = ctx.get(control.activate)
                await ctx.tick()
            assert seen == turns

    run(dut, testbench)


def test_a_result_waits_unchanged_and_holds_its_successor_in_reset(dut):
    async def testbench(ctx):
        await offer(ctx, dut, TOKEN)
        ctx.set(dut.pins.out_pulse, 0b1010_1010_1010)  # high for the whole read-out
        ctx.set(dut.pins.out_negative, 0b0010_0010_0010)
        await until(ctx, dut.result.valid)
        expected = [0, -45, 0, 45]
        await offer(ctx, dut, TOKEN)
        for _ in range(100):
            assert [ctx.get(dut.result.payload[i]) for i in range(4)] == expected
            assert ctx.get(dut.result.valid)
            await ctx.tick()
        assert ctx.get(dut.control.reset_k) and not ctx.get(dut.control.score)
        ctx.set(dut.result.ready, 1)
        await ctx.tick()
        ctx.set(dut.result.ready, 0)
        assert await until(ctx, dut.control.score) < 6
        await until(ctx, dut.result.valid)

    run(dut, testbench)


def test_the_pins_write_keys_then_values_then_pulse_the_query(dut):
    async def testbench(ctx):
        await offer(ctx, dut, TOKEN)
        await until(ctx, dut.pins.write.strobe_k)
        assert (ctx.get(dut.pins.write.code), ctx.get(dut.pins.write.slot)) == (0o4321, 0)
        await until(ctx, dut.pins.write.strobe_v)
        assert (ctx.get(dut.pins.write.code), ctx.get(dut.pins.write.slot)) == (0o0567, 0)
        await until(ctx, dut.control.score)
        widths = [0] * 4
        while ctx.get(dut.control.score):
            pulses = ctx.get(dut.pins.q_pulse)
            widths = [width + (pulses >> lane & 1) for lane, width in enumerate(widths)]
            await ctx.tick()
        assert widths == TOKEN["q"]

    run(dut, testbench)


def test_only_valid_rows_see_their_phi_pulses(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        ctx.set(dut.pins.phi, (1 << 12) - 1)
        for flush, rows in ((0, 0b1), (0, 0b11), (0, 0b111), (1, 0b1)):
            await offer(ctx, dut, TOKEN | {"flush": flush})
            assert ctx.get(dut.pins.row) == 0
            await until(ctx, dut.control.activate)
            for _ in range(15):
                assert ctx.get(dut.pins.row) == rows
                await ctx.tick()
            assert ctx.get(dut.pins.row) == 0

    run(dut, testbench)
