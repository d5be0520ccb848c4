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


TOKEN = {"flush": 0, "q": [0, 1, 7, 15], "k": [1, 2, 3, 4], "v": [7, 6, 5, 0]}


def test_a_result_is_valid_65_cycles_after_its_token_is_accepted(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        await offer(ctx, dut, TOKEN)
        assert await until(ctx, dut.result.valid) == 65
        await ctx.tick()
        assert not ctx.get(dut.result.valid)

    run(dut, testbench)


def test_tokens_follow_each_other_every_65_cycles(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        await offer(ctx, dut, TOKEN)
        for _ in range(4):
            assert await offer(ctx, dut, TOKEN) == 65

    run(dut, testbench)


def test_a_result_waits_unchanged_and_holds_its_successor_in_reset(dut):
    async def testbench(ctx):
        await offer(ctx, dut, TOKEN)
        ctx.set(dut.out_pulse, 0b1010_1010_1010)  # high for the whole read-out
        ctx.set(dut.out_negative, 0b0010_0010_0010)
        await until(ctx, dut.result.valid)
        expected = [0, -45, 0, 45]
        await offer(ctx, dut, TOKEN)
        for _ in range(100):
            assert [ctx.get(dut.result.payload[i]) for i in range(4)] == expected
            assert ctx.get(dut.result.valid)
            await ctx.tick()
        assert ctx.get(dut.reset) and not ctx.get(dut.score)
        ctx.set(dut.result.ready, 1)
        await ctx.tick()
        ctx.set(dut.result.ready, 0)
        assert await until(ctx, dut.score) < 6
        await until(ctx, dut.result.valid)

    run(dut, testbench)


def test_the_pins_write_keys_then_values_then_pulse_the_query(dut):
    async def testbench(ctx):
        await offer(ctx, dut, TOKEN)
        await until(ctx, dut.write.strobe_k)
        assert (ctx.get(dut.write.code), ctx.get(dut.write.slot)) == (0o4321, 0)
        await until(ctx, dut.write.strobe_v)
        assert (ctx.get(dut.write.code), ctx.get(dut.write.slot)) == (0o0567, 0)
        await until(ctx, dut.score)
        widths = [0] * 4
        while ctx.get(dut.score):
            pulses = ctx.get(dut.q_pulse)
            widths = [width + (pulses >> lane & 1) for lane, width in enumerate(widths)]
            await ctx.tick()
        assert widths == TOKEN["q"]

    run(dut, testbench)


def test_only_valid_rows_see_their_phi_pulses(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        ctx.set(dut.phi, (1 << 12) - 1)
        for flush, rows in ((0, 0b1), (0, 0b11), (0, 0b111), (1, 0b1)):
            await offer(ctx, dut, TOKEN | {"flush": flush})
            assert ctx.get(dut.row) == 0
            await until(ctx, dut.activate)
            for _ in range(15):
                assert ctx.get(dut.row) == rows
                await ctx.tick()
            assert ctx.get(dut.row) == 0

    run(dut, testbench)
