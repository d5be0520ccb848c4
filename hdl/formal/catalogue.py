"""All properties: of a whole head and a core first, which take longest, then of components."""

from hdl.formal import (
    bus,
    core,
    flow,
    hazards,
    order,
    pulses,
    registers,
    settings,
    twins,
    window,
    writes,
)
from hdl.formal.property import Property

__all__ = ["PROPERTIES"]

PROPERTIES: tuple[Property, ...] = (
    *order.PROPERTIES,
    *core.PROPERTIES,
    *settings.PROPERTIES,
    *twins.PROPERTIES,
    *flow.PROPERTIES,
    *hazards.PROPERTIES,
    *writes.PROPERTIES,
    *window.PROPERTIES,
    *pulses.PROPERTIES,
    *registers.PROPERTIES,
    *bus.PROPERTIES,
)
