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
    """Turns bus transfers into register accesses, one write and one read at a time.

    Every output of the bus comes from registers: none follows an input of the same cycle (AMBA AXI,
    A3.1.1), and no channel waits for another to be valid. Address and data of a write are taken as
    they come, in either order, and kept until its response is taken; it is carried out once both
    are there. The response to an access that `error` marks is SLVERR.

    Members
    -------
    bus : In(AxiLite)
    write_address, read_address : Out
        Number of the 32-bit word; the two lowest bits of a byte address mean nothing.
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
        self._take_writes(m)
        self._take_reads(m)
        return m

    def _take_writes(self, m: Module) -> None:
        bus = self.bus
        has_address = Signal()
        has_data = Signal()
        m.d.comb += [
            bus.awready.eq(~has_address),
            bus.wready.eq(~has_data),
            self.write.eq(has_address & has_data & ~bus.bvalid),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [has_address.eq(1), self.write_address.eq(bus.awaddr[2:])]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [has_data.eq(1), self.write_data.eq(bus.wdata), self.strobe.eq(bus.wstrb)]
        with m.If(self.write):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(self.write_error << 1)]
        with m.Elif(bus.bvalid & bus.bready):
            m.d.sync += [bus.bvalid.eq(0), has_address.eq(0), has_data.eq(0)]

    def _take_reads(self, m: Module) -> None:
        bus = self.bus
        m.d.comb += [
            bus.arready.eq(~bus.rvalid),
            self.read.eq(bus.arvalid & bus.arready),
            self.read_address.eq(bus.araddr[2:]),
        ]
        with m.If(self.read):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(self.read_data)]
            m.d.sync += bus.rresp.eq(self.read_error << 1)
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
