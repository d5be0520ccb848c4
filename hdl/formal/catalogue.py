"""All properties, component by component."""

from hdl.formal import flow, hazards, pulses, window, writes
from hdl.formal.property import Property

__all__ = ["PROPERTIES"]

PROPERTIES: tuple[Property, ...] = (
    *window.PROPERTIES,
    *pulses.PROPERTIES,
    *hazards.PROPERTIES,
    *writes.PROPERTIES,
    *flow.PROPERTIES,
)
