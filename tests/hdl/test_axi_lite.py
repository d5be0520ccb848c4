import random

import pytest

from hdl.axi_lite import AxiLitePort
from tests.hdl.clocked import run

INPUTS = ("awvalid", "wvalid", "bready", "arvalid", "rready")


@pytest.fixture
def dut():
    return AxiLitePort(6)


@pytest.mark.parametrize("first", ["aw", "w"])
def test_address_and_data_of_a_write_come_in_either_order(dut, first):
    bus = dut.bus
    valid = {"aw": bus.awvalid, "w": bus.wvalid}
    ready = {"aw": bus.awready, "w": bus.wready}
    (second,) = {*valid} - {first}

    async def testbench(ctx):
        ctx.set(bus.awaddr, 0x1C)
        ctx.set(bus.wdata, 0xDEAD_BEEF)
        ctx.set(bus.wstrb, 0b0110)
        ctx.set(valid[first], 1)
        await ctx.tick()
        ctx.set(valid[first], 0)
        ctx.set(bus.awaddr if first == "aw" else bus.wdata, 0)  # it was taken
        for _ in range(3):
            assert not ctx.get(ready[first]) and ctx.get(ready[second])
            assert not ctx.get(dut.write) and not ctx.get(bus.bvalid)
            await ctx.tick()
        ctx.set(valid[second], 1)
        await ctx.tick()
        ctx.set(valid[second], 0)
        assert ctx.get(dut.write)
        assert (ctx.get(dut.write_address), ctx.get(dut.write_data)) == (7, 0xDEAD_BEEF)
        assert ctx.get(dut.strobe) == 0b0110
        await ctx.tick()
        for _ in range(3):
            assert ctx.get(bus.bvalid) and not ctx.get(dut.write)
            assert not ctx.get(bus.awready) and not ctx.get(bus.wready)
            await ctx.tick()
        ctx.set(bus.bready, 1)
        await ctx.tick()
        assert not ctx.get(bus.bvalid) and ctx.get(bus.awready) and ctx.get(bus.wready)

    run(dut, testbench)


def test_a_write_takes_three_cycles_and_a_read_two(dut):
    async def testbench(ctx):
        for name in INPUTS:
            ctx.set(getattr(dut.bus, name), 1)
        writes, reads = [], []
        for _ in range(12):
            writes.append(ctx.get(dut.bus.awready))
            reads.append(ctx.get(dut.bus.arready))
            await ctx.tick()
        assert writes == [1, 0, 0] * 4 and reads == [1, 0] * 6

    run(dut, testbench)


def test_outputs_of_the_bus_do_not_follow_its_inputs_within_a_cycle(dut):
    rng = random.Random(1)
    outputs = ("awready", "wready", "bvalid", "bresp", "arready", "rvalid", "rdata", "rresp")

    async def testbench(ctx):
        for _ in range(300):
            seen = set()
            for _ in range(4):
                for name in INPUTS:
                    ctx.set(getattr(dut.bus, name), rng.randrange(2))
                seen.add(tuple(ctx.get(getattr(dut.bus, name)) for name in outputs))
            assert len(seen) == 1
            await ctx.tick()

    run(dut, testbench)
