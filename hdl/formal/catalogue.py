"""All properties, component by component."""

from hdl.formal import pulses, window
from hdl.formal.property import Property

__all__ = ["PROPERTIES"]

PROPERTIES: tuple[Property, ...] = (*window.PROPERTIES, *pulses.PROPERTIES)
