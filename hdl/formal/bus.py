"""Properties of the register port on AXI4-Lite."""

from amaranth import Cat, Signal

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.monitor import Monitor
from hdl.formal.property import Property
from hdl.formal.specs import FEW_SLOTS

__all__ = ["PROPERTIES"]


def one_response(design: Design, spec: HardwareSpec) -> Monitor:
    """Subtract the responses from the accesses, and compare a response with the one before."""
    watch = Monitor(design, design.axi_lite.AxiLitePort(design.registers.ADDR_BITS))
    bus, m = watch.dut.bus, watch.m
    address, data = bus.awvalid & bus.awready, bus.wvalid & bus.wready
    watch.always(address == data, "a write is taken with address and data")
    for name, access, valid, ready, response in (
        ("write", address, bus.bvalid, bus.bready, bus.bresp),
        ("read", bus.arvalid & bus.arready, bus.rvalid, bus.rready, Cat(bus.rdata, bus.rresp)),
    ):
        owed = Signal(2, name=f"{name}_owed")
        m.d.sync += owed.eq(owed + access - (valid & ready))
        watch.always(owed == valid, "a response is there for each access and no other")
        waited = watch.past(valid & ~ready, f"{name}_waited")
        before = watch.past(response, f"{name}_response")
        watch.always(~waited | (valid & (response == before)), "it stays until it is taken")
    return watch


PROPERTIES = [
    Property(
        name="bus-one-response-per-access",
        statement="Every access on the bus gives one response, which stays unchanged until taken.",
        component="AxiLitePort",
        spec=FEW_SLOTS,
        watch=one_response,
        depth=2,
        broken=Patch(
            "axi_lite",
            "room_r.eq(~bus.rvalid | bus.rready)",
            "room_r.eq(1)",
            "a read overwrites the response to the one before",
        ),
        caught_within=10,
    ),
]
