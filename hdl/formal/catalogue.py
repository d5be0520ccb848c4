"""All properties: of whole heads first, which take longest, then of single components."""

from hdl.formal import flow, hazards, order, pulses, window, writes
from hdl.formal.property import Property

__all__ = ["PROPERTIES"]

PROPERTIES: tuple[Property, ...] = (
    *order.PROPERTIES,
    *flow.PROPERTIES,
    *hazards.PROPERTIES,
    *writes.PROPERTIES,
    *window.PROPERTIES,
    *pulses.PROPERTIES,
)
