"""What a manager wrote over AXI4-Lite, kept from the bus alone."""

from typing import Any

from amaranth import Cat, Signal, Value

from hdl.formal.property_circuit import Monitor

__all__ = ["BusWrites"]


class BusWrites:
    """Follows the write channels of `bus`, and predicts when a write is carried out.

    Attributes
    ----------
    has_address, has_data : Signal
        Taken, and not answered.
    address, data, strobe : Signal
        As they were on the bus; the address counts words.
    whole, now : Value
        Both were taken; the write is carried out in this cycle, the one before its response.

    path: to the port in the component, where it has one; lemmas say that the port keeps the same.
    """

    def __init__(self, watch: Monitor, bus: Any, *path: str) -> None:
        m = watch.m
        self.has_address, self.has_data = Signal(), Signal()
        self.address, self.data = Signal.like(bus.awaddr[2:]), Signal.like(bus.wdata)
        self.strobe = Signal.like(bus.wstrb)
        self.whole = self.has_address & self.has_data
        self.now = self.whole & ~bus.bvalid
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [self.has_address.eq(1), self.address.eq(bus.awaddr[2:])]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [self.has_data.eq(1), self.data.eq(bus.wdata), self.strobe.eq(bus.wstrb)]
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += [self.has_address.eq(0), self.has_data.eq(0)]
        for name, kept in (
            ("has_address", self.has_address),
            ("has_data", self.has_data),
            ("write_address", self.address),
            ("write_data", self.data),
            ("strobe", self.strobe),
        ):
            watch.lemma(watch.register(name, *path) == kept, "the port keeps what it took")
        watch.lemma(~bus.bvalid | self.whole, "a response to a write that is whole")

    def of(self, number: int) -> Value:
        """A byte of register `number` is written in this cycle."""
        return self.now & (self.address == number) & self.strobe.any()

    @property
    def bits(self) -> Value:
        """The bits that are written, by their strobes."""
        return Cat(byte.replicate(8) for byte in self.strobe)

    @property
    def ones(self) -> Value:
        """The ones that are written."""
        return self.data & self.bits
