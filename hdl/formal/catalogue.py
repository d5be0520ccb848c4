"""All properties: of a whole head and a core first, which take longest, then of components."""

from hdl.formal import bus, core, flow, hazards, order, pulses, window, writes
from hdl.formal.property import Property

__all__ = ["PROPERTIES"]

PROPERTIES: tuple[Property, ...] = (
    *order.PROPERTIES,
    *core.PROPERTIES,
    *flow.PROPERTIES,
    *hazards.PROPERTIES,
    *writes.PROPERTIES,
    *window.PROPERTIES,
    *pulses.PROPERTIES,
    *bus.PROPERTIES,
)
