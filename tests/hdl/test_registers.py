import random
from pathlib import Path

import pytest

from hdl.registers import ERRORS, REGISTERS, RegisterBank
from tests.hdl.bus import ADDRESS, OKAY, SLVERR, read, write
from tests.hdl.clocked import run, small_spec

WINDOW, SCHEDULES = 12, 3
RESERVED = 0xFFFF_FFFF
COUNTERS = ("tokens", "queries", "stall_cycles", "saturated_pulses")
AFTER_RESET = {"identity": 0x6743_0001, "heads": 2 << 16 | WINDOW, "window_length": WINDOW}


@pytest.fixture
def dut():
    return RegisterBank(small_spec(), heads=2, schedule_bits=2, saturated=60)


async def happen(ctx, dut, name, slot, heads):
    number = ERRORS.index(name)
    ctx.set(dut.errors, 1 << number)
    ctx.set(dut.slots[number], slot)
    ctx.set(dut.heads[number], heads)
    await ctx.tick()
    ctx.set(dut.errors, 0)


def test_every_register_has_the_value_of_a_reset(dut):
    async def testbench(ctx):
        for name in ADDRESS:
            assert await read(ctx, dut, name) == AFTER_RESET.get(name, 0), name

    run(dut, testbench)


WRITTEN = (0, 1, 2, 3, 4, 5, 11, 12, 13, 15, 16, 17, 2049, 1 << 16, 1 << 24 | 5, 1 << 31, RESERVED)


@pytest.mark.parametrize(("name", "bits"), [("schedule", 2), ("window_length", 4)])
def test_a_setting_is_read_back_as_written_and_counts_as_0_if_it_has_more_bits(dut, name, bits):
    async def testbench(ctx):
        for value in WRITTEN:
            assert await write(ctx, dut, name, value) == OKAY
            assert await read(ctx, dut, name) == value
            assert ctx.get(getattr(dut, name)) == (value if value < 1 << bits else 0)

    run(dut, testbench)


@pytest.mark.parametrize("name", ["schedule", "window_length"])
def test_bytes_of_a_setting_may_be_written_one_by_one(dut, name):
    rng = random.Random(name)

    async def testbench(ctx):
        kept = await read(ctx, dut, name)
        for _ in range(200):
            value = rng.choice((rng.randrange(16), rng.getrandbits(32)))
            strobe = rng.randrange(16)
            assert await write(ctx, dut, name, value, strobe) == OKAY
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            kept = kept & ~mask | value & mask
            assert await read(ctx, dut, name) == kept
            setting = getattr(dut, name)
            assert ctx.get(setting) == (kept if kept < 1 << len(setting) else 0)

    run(dut, testbench)


def test_a_write_of_no_byte_changes_nothing(dut):
    async def testbench(ctx):
        ctx.set(dut.waiting, 1)
        await ctx.tick()
        ctx.set(dut.waiting, 0)
        await happen(ctx, dut, "overrun", 7, 0b10)
        before = [await read(ctx, dut, name) for name in ADDRESS]
        for name in ADDRESS:
            await write(ctx, dut, name, RESERVED, strobe=0)
        assert [await read(ctx, dut, name) for name in ADDRESS] == before
        assert not ctx.get(dut.flush)

    run(dut, testbench)


@pytest.mark.parametrize("low", range(4))
def test_what_is_not_there_or_read_only_answers_with_an_error(dut, low):
    """At every address of the port; its two lowest bits mean nothing."""
    accesses = [register.access for register in REGISTERS] + [""] * (16 - len(REGISTERS))

    async def testbench(ctx):
        for number, access in enumerate(accesses):
            address = 4 * number + low
            before = await read(ctx, dut, address, OKAY if access else SLVERR)
            assert access or before == 0
            expected = SLVERR if access in ("", "ro") else OKAY
            assert await write(ctx, dut, address, RESERVED) == expected
            if access in ("", "ro"):
                assert await read(ctx, dut, address, OKAY if access else SLVERR) == before

    run(dut, testbench)


def test_reserved_bits_read_0_and_take_no_write(dut):
    fields = {"flush": 1, "status": 0b11 | 0b11 << 8, "errors": 0b11111, "error_slot": 0xF}
    fields |= {"error_heads": 0b11}

    async def testbench(ctx):
        ctx.set(dut.busy, 1)
        ctx.set(dut.waiting, 1)
        ctx.set(dut.chosen, 3)
        ctx.set(dut.errors, 0b11111)
        ctx.set(dut.slots[0], 15)
        ctx.set(dut.heads[0], 3)
        await write(ctx, dut, "flush", RESERVED)
        for name, field in fields.items():
            assert await read(ctx, dut, name) == field, name
        ctx.set(dut.errors, 0)
        for name in ("errors", "flush"):
            await write(ctx, dut, name, RESERVED & ~fields[name])
            assert await read(ctx, dut, name) == fields[name]

    run(dut, testbench)


def test_a_flush_stays_until_a_token_writes(dut):
    async def testbench(ctx):
        await write(ctx, dut, "flush", 0)
        await write(ctx, dut, "flush", 1, strobe=0b1110)
        assert not ctx.get(dut.flush)
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
    async def testbench(ctx):
        assert not ctx.get(dut.error)
        await happen(ctx, dut, "sign_changed", 7, 0b10)
        await happen(ctx, dut, "phi_late", 3, 0b01)
        assert ctx.get(dut.error)
        assert await read(ctx, dut, "errors") == 0b101
        assert await read(ctx, dut, "error_slot") == 7
        assert await read(ctx, dut, "error_heads") == 0b10
        await write(ctx, dut, "errors", 0b100)
        assert await read(ctx, dut, "errors") == 0b001
        await write(ctx, dut, "errors", 0xFFFF_FFFF)
        assert not ctx.get(dut.error)
        await happen(ctx, dut, "overrun", 1, 0b11)
        assert (await read(ctx, dut, "error_slot"), await read(ctx, dut, "errors")) == (1, 0b1000)

    run(dut, testbench)


async def in_the_cycle_of(ctx, dut, name, value, event):
    """Write a register, with `event` in the cycle in which the write is carried out."""
    for signal, content in ((dut.bus.awaddr, ADDRESS[name]), (dut.bus.wdata, value)):
        ctx.set(signal, content)
    ctx.set(dut.bus.wstrb, 0xF)
    ctx.set(dut.bus.bready, 1)
    for valid in (dut.bus.awvalid, dut.bus.wvalid):
        ctx.set(valid, 1)
    await ctx.tick()
    for valid in (dut.bus.awvalid, dut.bus.wvalid):
        ctx.set(valid, 0)
    await event
    assert ctx.get(dut.bus.bvalid)
    await ctx.tick()


def test_an_error_in_the_cycle_that_clears_the_others_has_its_own_place(dut):
    async def testbench(ctx):
        await happen(ctx, dut, "phi_late", 3, 0b01)
        event = happen(ctx, dut, "out_late", 7, 0b10)
        await in_the_cycle_of(ctx, dut, "errors", 0b1, event)
        assert await read(ctx, dut, "errors") == 0b10
        assert (await read(ctx, dut, "error_slot"), await read(ctx, dut, "error_heads")) == (7, 2)

    run(dut, testbench)


def test_counters_count_and_clear(dut):
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
        await write(ctx, dut, "saturated_pulses", 0, strobe=0b0100)
        assert await read(ctx, dut, "saturated_pulses") == 0

    run(dut, testbench)


def test_a_counter_stays_at_its_largest_value():
    dut = RegisterBank(small_spec(), heads=2, schedule_bits=2, saturated=1 << 31)

    async def testbench(ctx):
        ctx.set(dut.saturated, 1 << 31)
        await ctx.tick().repeat(3)
        assert await read(ctx, dut, "saturated_pulses") == 0xFFFF_FFFF

    run(dut, testbench)


def test_what_is_counted_in_the_cycle_of_a_clear_is_not_lost(dut):
    async def testbench(ctx):
        async def wait():
            ctx.set(dut.waiting, 1)
            await ctx.tick()
            ctx.set(dut.waiting, 0)

        await wait()
        await in_the_cycle_of(ctx, dut, "stall_cycles", 0, wait())
        assert await read(ctx, dut, "stall_cycles") == 1

    run(dut, testbench)


def test_the_documentation_has_the_map():
    text = (Path(__file__).parents[2] / "docs" / "core.md").read_text()
    for number, (name, access, description) in enumerate(REGISTERS):
        assert f"| 0x{4 * number:02X} | `{name}` | {access} | {description} |\n" in text
