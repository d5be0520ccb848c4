import gc

import pytest

from common.errors import SpecError
from hdl.core import AttentionCore
from tests.hdl.bus import read, write
from tests.hdl.clocked import run, small_spec

HEADS = 3


def token(head, **flags):
    codes = {"q": [head, 1, 7, 15], "k": [head, 2, 3, 4], "v": [7, 6, 5, head]}
    return {"flush": 0, "query_only": 0, **codes, **flags}


async def offer(ctx, dut, **flags):
    """Offer a token of the core, a beat for each head; return the cycles that took."""
    cycles = 0
    for head in range(HEADS):
        ctx.set(dut.token.payload, token(head, **flags))
        ctx.set(dut.token.valid, 1)
        while not ctx.get(dut.token.ready):
            await ctx.tick()
            cycles += 1
        await ctx.tick()
        cycles += 1
    ctx.set(dut.token.valid, 0)
    return cycles


@pytest.fixture
def dut():
    return AttentionCore(small_spec(), HEADS)


def test_every_head_gets_its_beat_and_gives_its_own(dut):
    async def testbench(ctx):
        await offer(ctx, dut)
        for head in range(HEADS):  # head h: all pulses of 15 counts, but h sub-tiles negative
            ctx.set(dut.pins[head].out_pulse, (1 << 12) - 1)
            ctx.set(dut.pins[head].out_negative, (1 << 4 * head) - 1)
        while not ctx.get(dut.pins[0].write.strobe_k):
            await ctx.tick()
        codes = [ctx.get(dut.pins[head].write.code) for head in range(HEADS)]
        assert codes == [0o4320 | head for head in range(HEADS)]
        while not ctx.get(dut.result.valid):
            await ctx.tick()
        for head in range(HEADS):
            for _ in range(4):  # waits, unchanged
                payload = dut.result.payload
                assert ctx.get(payload.head) == head
                assert [ctx.get(payload.out[d]) for d in range(4)] == [15 * (3 - 2 * head)] * 4
                await ctx.tick()
            ctx.set(dut.result.ready, 1)
            await ctx.tick()
            ctx.set(dut.result.ready, 0)
        assert not ctx.get(dut.result.valid)
        assert await read(ctx, dut, "saturated_pulses") == HEADS * 12

    run(dut, testbench)


@pytest.mark.parametrize(("schedule", "period"), [(0, 65), (1, 54), (2, 21)])
def test_tokens_follow_each_other_every_period(dut, schedule, period):
    # `overlapped` waits in cycle 0 until the beats of all results have been taken.
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        await write(ctx, dut, "schedule", schedule)
        for _ in range(3):
            await offer(ctx, dut)
        assert [await offer(ctx, dut) for _ in range(4)] == [period] * 4
        assert await read(ctx, dut, "tokens") == 6
        assert (await read(ctx, dut, "stall_cycles") > 0) == (schedule == 1)

    run(dut, testbench)


def test_the_bank_sets_window_and_flush_and_sees_stalls(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        await write(ctx, dut, "window_length", 2)
        slots = []
        for number in range(6):
            if number == 3:
                await write(ctx, dut, "flush", 1)
            await offer(ctx, dut, query_only=int(number == 5))
            while not ctx.get(dut.control.score):
                await ctx.tick()
            slots.append(ctx.get(dut.pins[0].write.slot))
            while ctx.get(dut.control.score):
                await ctx.tick()
        assert slots == [0, 1, 0, 0, 1, 1]
        await ctx.tick().repeat(80)
        ctx.set(dut.result.ready, 0)
        await offer(ctx, dut)
        await offer(ctx, dut)
        await ctx.tick().repeat(200)
        assert await read(ctx, dut, "stall_cycles") > 100
        assert await read(ctx, dut, "status") == 0b11
        assert await read(ctx, dut, "queries") == 1
        assert await read(ctx, dut, "errors") == 0

    run(dut, testbench)


def test_errors_are_flagged_with_slot_and_head(dut):
    async def testbench(ctx):
        ctx.set(dut.result.ready, 1)
        for _ in range(3):
            await offer(ctx, dut)
        await ctx.tick().repeat(200)
        assert not ctx.get(dut.error)
        await offer(ctx, dut)
        ctx.set(dut.pins[1].phi, 0b1)  # stuck
        await ctx.tick().repeat(100)
        assert ctx.get(dut.error)
        assert await read(ctx, dut, "errors") == 0b1
        assert (await read(ctx, dut, "error_slot"), await read(ctx, dut, "error_heads")) == (
            3,
            0b10,
        )
        await write(ctx, dut, "errors", 1)
        assert not ctx.get(dut.error)

    run(dut, testbench)


def test_a_token_that_is_withdrawn_is_flagged(dut):
    async def testbench(ctx):
        for _ in range(2):
            await offer(ctx, dut)
        ctx.set(dut.token.valid, 1)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.token.ready)
        ctx.set(dut.token.valid, 0)
        await ctx.tick().repeat(3)
        assert await read(ctx, dut, "errors") == 0b10000

    run(dut, testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_the_number_of_heads_and_the_window_have_limits():
    with pytest.raises(SpecError, match="heads = 33: allowed 1 to 32"):
        AttentionCore(small_spec(), 33)
    spec = small_spec(geometry__subtile=2**4, geometry__subtiles=2**12)
    with pytest.raises(SpecError, match=r"subtiles = 65536: allowed 1 to 65535 in a core, whose"):
        AttentionCore(spec, 2)
    gc.collect()
