"""A manager on the AXI4-Lite port of a component, for Amaranth's simulator."""

from typing import Any

from hdl.registers import REGISTERS

ADDRESS = {register.name: 4 * number for number, register in enumerate(REGISTERS)}
OKAY, SLVERR = 0, 2


async def write(ctx: Any, dut: Any, register: str | int, value: int, strobe: int = 0xF) -> int:
    """Write a register, by name or address; its response."""
    bus = dut.bus
    ctx.set(bus.awaddr, ADDRESS.get(register, register))  # type: ignore[arg-type]
    ctx.set(bus.wdata, value)
    ctx.set(bus.wstrb, strobe)
    assert ctx.get(bus.awready) and ctx.get(bus.wready)
    for valid in (bus.awvalid, bus.wvalid):
        ctx.set(valid, 1)
    await ctx.tick()
    for valid in (bus.awvalid, bus.wvalid):
        ctx.set(valid, 0)
    return await respond(ctx, bus)


async def respond(ctx: Any, bus: Any) -> int:
    """Wait for the response to a write, and take it."""
    ctx.set(bus.bready, 1)
    while not ctx.get(bus.bvalid):
        await ctx.tick()
    response = ctx.get(bus.bresp)
    await ctx.tick()
    ctx.set(bus.bready, 0)
    assert not ctx.get(bus.bvalid)
    return response


async def read(ctx: Any, dut: Any, register: str | int, response: int = OKAY) -> int:
    """Read a register, by name or address, which answers with `response`."""
    bus = dut.bus
    ctx.set(bus.araddr, ADDRESS.get(register, register))  # type: ignore[arg-type]
    assert ctx.get(bus.arready)
    ctx.set(bus.arvalid, 1)
    ctx.set(bus.rready, 1)
    await ctx.tick()
    ctx.set(bus.arvalid, 0)
    assert ctx.get(bus.rvalid) and ctx.get(bus.rresp) == response
    value = ctx.get(bus.rdata)
    await ctx.tick()
    ctx.set(bus.rready, 0)
    assert not ctx.get(bus.rvalid)
    return value
