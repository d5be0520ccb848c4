"""AXI4-Lite subordinate: the channels of the bus, and one read or write of a register at a time."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DATA_BITS", "AxiLite", "AxiLitePort"]

DATA_BITS = 32


class AxiLite(wiring.Signature):
    """The five channels of AXI4-Lite (AMBA AXI, issue H, chapter B1), as the manager sees them."""

    def __init__(self, addr_bits: int) -> None:
        super().__init__(
            {
                "awaddr": Out(addr_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(DATA_BITS),
                "wstrb": Out(DATA_BITS // 8),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(addr_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(DATA_BITS),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLitePort(wiring.Component):
    """Turns bus transfers into register accesses.

    A write is carried out when both its address and its data are there. The response to an access
    that `error` marks is SLVERR.

    Members
    -------
    bus : In(AxiLite)
    write_address, read_address : Out
        Number of the 32-bit word.
    write, read : Out(1)
        Carry out the access in this cycle.
    write_data, strobe : Out
        Data, and which of its bytes to write.
    read_data : In
        Content of the register at `read_address`, in the same cycle.
    write_error, read_error : In(1)
        There is no such register, or it cannot be written.
    """

    def __init__(self, addr_bits: int) -> None:
        word = addr_bits - 2
        super().__init__(
            {
                "bus": In(AxiLite(addr_bits)),
                "write_address": Out(word),
                "write": Out(1),
                "write_data": Out(DATA_BITS),
                "strobe": Out(DATA_BITS // 8),
                "write_error": In(1),
                "read_address": Out(word),
                "read": Out(1),
                "read_data": In(DATA_BITS),
                "read_error": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bus = self.bus
        room_b, room_r = Signal(), Signal()
        m.d.comb += [
            room_b.eq(~bus.bvalid | bus.bready),
            room_r.eq(~bus.rvalid | bus.rready),
            self.write.eq(bus.awvalid & bus.wvalid & room_b),
            bus.awready.eq(self.write),
            bus.wready.eq(self.write),
            self.write_address.eq(bus.awaddr[2:]),
            self.write_data.eq(bus.wdata),
            self.strobe.eq(bus.wstrb),
            self.read.eq(bus.arvalid & room_r),
            bus.arready.eq(self.read),
            self.read_address.eq(bus.araddr[2:]),
        ]
        for done, ready, valid, resp, error in (
            (self.write, bus.bready, bus.bvalid, bus.bresp, self.write_error),
            (self.read, bus.rready, bus.rvalid, bus.rresp, self.read_error),
        ):
            with m.If(done):
                m.d.sync += [valid.eq(1), resp[1].eq(error)]
            with m.Elif(ready):
                m.d.sync += valid.eq(0)
        with m.If(self.read):
            m.d.sync += bus.rdata.eq(self.read_data)
        return m
