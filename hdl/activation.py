"""Activation path: which charge-to-pulse outputs reach the V arrays, and when."""

from amaranth import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from analog_models.spec import HardwareSpec

__all__ = ["ActivationGate"]


class ActivationGate(wiring.Component):
    """Gates the phi pulses by phase and validity without sampling them: their width is analog.

    An unwritten slot has a score too (f(0) is not 0), so its pulse must be stopped here. The gate
    closes at the end of the phase, which also bounds a pulse to T_max.

    Members
    -------
    activate : In(1)
        The phase in which pulses may pass; from a register.
    valid : In(window)
        The slots that hold a token; constant while `activate`.
    phi : In(window)
        Pulses of the K columns' charge-to-pulse converters.
    row : Out(window)
        Pulses on the rows of the V arrays.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        slots = spec.geometry.window
        super().__init__(
            {"activate": In(1), "valid": In(slots), "phi": In(slots), "row": Out(slots)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        gate = Mux(self.activate, self.valid, 0)
        m.d.comb += self.row.eq(self.phi & gate)
        return m
