from pathlib import Path

import pytest

from hdl.registers import ERRORS, REGISTERS, RegisterBank
from tests.hdl.clocked import run, small_spec

ADDRESS = {register.name: 4 * number for number, register in enumerate(REGISTERS)}
OKAY, SLVERR = 0, 2


@pytest.fixture
def dut():
    return RegisterBank(small_spec(), heads=2, schedule_bits=2, saturated=60)


async def read(ctx, dut, name):
    bus = dut.bus
    ctx.set(bus.araddr, ADDRESS.get(name, name))
    ctx.set(bus.arvalid, 1)
    ctx.set(bus.rready, 1)
    await ctx.tick().until(bus.arready)
    ctx.set(bus.arvalid, 0)
    assert ctx.get(bus.rvalid)
    value = ctx.get(bus.rdata)
    assert ctx.get(bus.rresp) == (OKAY if name in ADDRESS else SLVERR)
    await ctx.tick()
    return value


async def write(ctx, dut, name, value, strobe=0xF, response=OKAY):
    bus = dut.bus
    for signal, content in ((bus.awaddr, ADDRESS.get(name, name)), (bus.wdata, value)):
        ctx.set(signal, content)
    ctx.set(bus.wstrb, strobe)
    ctx.set(bus.awvalid, 1)
    ctx.set(bus.bready, 1)
    await ctx.tick().repeat(2)
    assert not ctx.get(bus.bvalid)  # an address alone writes nothing
    ctx.set(bus.wvalid, 1)
    await ctx.tick()
    ctx.set(bus.awvalid, 0)
    ctx.set(bus.wvalid, 0)
    assert ctx.get(bus.bvalid) and ctx.get(bus.bresp) == response
    await ctx.tick()
    assert not ctx.get(bus.bvalid)


def test_settings_are_what_was_written(dut):
    async def testbench(ctx):
        assert await read(ctx, dut, "identity") == 0x6743_0001
        assert await read(ctx, dut, "heads") == 2 << 16 | 12
        assert await read(ctx, dut, "window_length") == 12 == ctx.get(dut.window_length)
        await write(ctx, dut, "window_length", 5)
        await write(ctx, dut, "schedule", 2)
        assert (ctx.get(dut.window_length), ctx.get(dut.schedule)) == (5, 2)
        await write(ctx, dut, "window_length", 9, strobe=0b1110)
        assert await read(ctx, dut, "window_length") == 5

    run(dut, testbench)


def test_what_is_not_there_or_read_only_answers_with_an_error(dut):
    async def testbench(ctx):
        await read(ctx, dut, 0x3C)
        await write(ctx, dut, 0x3C, 1, response=SLVERR)
        await write(ctx, dut, "identity", 1, response=SLVERR)
        assert await read(ctx, dut, "identity") == 0x6743_0001

    run(dut, testbench)


def test_a_flush_stays_until_a_token_writes(dut):
    async def testbench(ctx):
        await write(ctx, dut, "flush", 1)
        ctx.set(dut.accept, 1)
        ctx.set(dut.query_only, 1)
        await ctx.tick()
        assert ctx.get(dut.flush)
        ctx.set(dut.query_only, 0)
        await ctx.tick()
        ctx.set(dut.accept, 0)
        assert not ctx.get(dut.flush)
        assert await read(ctx, dut, "tokens") == await read(ctx, dut, "queries") == 1

    run(dut, testbench)


def test_the_first_error_keeps_its_place_until_it_is_cleared(dut):
    async def happen(ctx, name, slot, heads):
        number = ERRORS.index(name)
        ctx.set(dut.errors, 1 << number)
        ctx.set(dut.slots[number], slot)
        ctx.set(dut.heads[number], heads)
        await ctx.tick()
        ctx.set(dut.errors, 0)

    async def testbench(ctx):
        assert not ctx.get(dut.error)
        await happen(ctx, "sign_changed", 7, 0b10)
        await happen(ctx, "phi_late", 3, 0b01)
        assert ctx.get(dut.error)
        assert await read(ctx, dut, "errors") == 0b101
        assert await read(ctx, dut, "error_slot") == 7
        assert await read(ctx, dut, "error_heads") == 0b10
        await write(ctx, dut, "errors", 0b100)
        assert await read(ctx, dut, "errors") == 0b001
        await write(ctx, dut, "errors", 0xFFFF_FFFF)
        assert not ctx.get(dut.error)
        await happen(ctx, "overrun", 1, 0b11)
        assert (await read(ctx, dut, "error_slot"), await read(ctx, dut, "errors")) == (1, 0b1000)

    run(dut, testbench)


def test_counters_count_clear_and_saturate(dut):
    async def testbench(ctx):
        ctx.set(dut.saturated, 60)
        ctx.set(dut.waiting, 1)
        await ctx.tick().repeat(5)
        ctx.set(dut.saturated, 0)
        ctx.set(dut.waiting, 0)
        assert await read(ctx, dut, "saturated_pulses") == 300
        assert await read(ctx, dut, "stall_cycles") == 5
        await write(ctx, dut, "stall_cycles", 0)
        assert await read(ctx, dut, "stall_cycles") == 0
        assert await read(ctx, dut, "saturated_pulses") == 300

    run(dut, testbench)


def test_the_documentation_has_the_map():
    text = (Path(__file__).parents[2] / "docs" / "core.md").read_text()
    for number, (name, access, description) in enumerate(REGISTERS):
        assert f"| 0x{4 * number:02X} | `{name}` | {access} | {description} |\n" in text
