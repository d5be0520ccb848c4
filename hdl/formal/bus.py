"""Properties of the register port on AXI4-Lite."""

from amaranth import Cat, Const, Signal

from analog_models.spec import HardwareSpec
from hdl.formal.bus_writes import BusWrites
from hdl.formal.design import Design, Patch
from hdl.formal.property import Property
from hdl.formal.property_circuit import Monitor
from hdl.formal.specs import FEW_SLOTS

__all__ = ["PROPERTIES"]


def _port(design: Design) -> Monitor:
    return Monitor(design, design.axi_lite.AxiLitePort(design.registers.ADDR_BITS))


def one_response(design: Design, spec: HardwareSpec) -> Monitor:
    """Subtract the responses from the accesses, and compare a response with the one before."""
    watch = _port(design)
    bus, m = watch.dut.bus, watch.m
    channels = {
        "address": (bus.awvalid & bus.awready, bus.bvalid & bus.bready),
        "data": (bus.wvalid & bus.wready, bus.bvalid & bus.bready),
        "read": (bus.arvalid & bus.arready, bus.rvalid & bus.rready),
    }
    owed = {name: Signal(2, name=f"{name}_owed") for name in channels}
    for name, (access, response) in channels.items():
        m.d.sync += owed[name].eq(owed[name] + access - response)
        watch.always(owed[name] <= 1, "no access before the response to the last is taken")
    watch.always(owed["read"] == bus.rvalid, "a response is there for each read and no other")
    whole = (owed["address"] == 1) & (owed["data"] == 1)
    watch.always(~bus.bvalid | whole, "a response to a write needs its address and its data")
    waited = watch.past(whole, "whole") & whole
    watch.always(~waited | bus.bvalid, "and is there a cycle later")
    for name, valid, ready, response in (
        ("write", bus.bvalid, bus.bready, bus.bresp),
        ("read", bus.rvalid, bus.rready, Cat(bus.rdata, bus.rresp)),
    ):
        waited = watch.past(valid & ~ready, f"{name}_waited")
        before = watch.past(response, f"{name}_response")
        watch.always(~waited | (valid & (response == before)), "it stays until it is taken")
    for name in ("address", "data"):
        watch.lemma(watch.register(f"has_{name}") == owed[name], "what is owed is kept")
    return watch


def carried_out_once(design: Design, spec: HardwareSpec) -> Monitor:
    """Compare what the port tells the registers with what was on the bus when it was taken."""
    watch = _port(design)
    dut, bus, m = watch.dut, watch.dut.bus, watch.m
    writes = BusWrites(watch, bus)
    done = Signal()  # and its response is not taken
    with m.If(dut.write):
        m.d.sync += done.eq(1)
    with m.Elif(bus.bvalid & bus.bready):
        m.d.sync += done.eq(0)
    watch.always(dut.write == writes.now, "a write is carried out when it is whole, and once")
    told = (dut.write_address, dut.write_data, dut.strobe)
    for value, taken in zip(told, (writes.address, writes.data, writes.strobe), strict=True):
        watch.always(~dut.write | (value == taken), "as it was taken")
    watch.always(bus.bvalid == done, "a response to what is carried out")
    read = bus.arvalid & bus.arready
    watch.always(dut.read == read, "a read is carried out when it is taken")
    watch.always(~read | (dut.read_address == bus.araddr[2:]), "at its address")
    content = Signal.like(bus.rdata)
    with m.If(read):
        m.d.sync += content.eq(dut.read_data)
    watch.always(~bus.rvalid | (bus.rdata == content), "a read answers with what was there")
    for name, carried_out, error, valid, response in (
        ("write", dut.write, dut.write_error, bus.bvalid, bus.bresp),
        ("read", read, dut.read_error, bus.rvalid, bus.rresp),
    ):
        failed = Signal(name=f"{name}_failed")
        with m.If(carried_out):
            m.d.sync += failed.eq(error)
        watch.always(~valid | (response == Cat(Const(0, 1), failed)), "OKAY, or SLVERR")
    watch.lemma(~done | writes.whole, "a write stays until its response is taken")
    return watch


def ready_alone(design: Design, spec: HardwareSpec) -> Monitor:
    """Remember what was taken on each channel since the last response."""
    watch = _port(design)
    bus = watch.dut.bus
    writes = BusWrites(watch, bus)
    for ready, taken in (
        (bus.awready, writes.has_address),
        (bus.wready, writes.has_data),
        (bus.arready, bus.rvalid),
    ):
        watch.always(ready != taken, "ready unless it has what is not answered")
    return watch


def bus_property(**details) -> Property:
    """One property of the port."""
    return Property(component="AxiLitePort", spec=FEW_SLOTS, depth=2, caught_within=10, **details)


PROPERTIES = [
    bus_property(
        name="bus-one-response-per-access",
        statement="Every access on the bus gives one response, which stays unchanged until taken.",
        watch=one_response,
        broken=Patch(
            "axi_lite",
            "bus.arready.eq(~bus.rvalid)",
            "bus.arready.eq(1)",
            "a read overwrites the response to the one before",
        ),
    ),
    bus_property(
        name="bus-access-carried-out-once",
        statement="A write reaches the registers once, as it was taken on the bus, before its "
        "response; a read answers with what the register held when it was taken; nothing else is "
        "carried out.",
        watch=carried_out_once,
        broken=Patch(
            "axi_lite",
            "self.write.eq(has_address & has_data & ~bus.bvalid)",
            "self.write.eq(has_address & has_data)",
            "a write is carried out again while its response waits",
        ),
    ),
    bus_property(
        name="bus-channels-wait-for-no-other",
        statement="A channel of the bus is ready until it has taken what it is for, whatever the "
        "other channels do, and again once the response is taken.",
        watch=ready_alone,
        broken=Patch(
            "axi_lite",
            "bus.wready.eq(~has_data)",
            "bus.wready.eq(has_address & ~has_data)",
            "data are not taken before their address",
        ),
    ),
]
