"""Pulse generators: the query codes as pulse widths on the word lines."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from analog_models.spec import HardwareSpec
from hdl.bitplanes import differs, lanes_to_planes

__all__ = ["PulseGenerator"]


class PulseGenerator(wiring.Component):
    """PWM of all word lines: a pulse of `code` cycles each, all rising together.

    A pulse falls when the shared step counter meets its code, so a lane needs one register and a
    comparison for equality. The pulses come from registers and so lag `run` by one cycle.

    Members
    -------
    code : In
        Query codes, lane by lane.
    load : In(1)
        Take `code` at the next edge, for the pulses to come; not while `run`.
    run : In(1)
        High for at least the largest code, from one cycle before the pulses rise.
    pulse : Out(head_dim)
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._width = spec.levels.q_max.bit_length()
        self._q_max = spec.levels.q_max
        lanes = spec.geometry.head_dim
        super().__init__(
            {
                "code": In(self._width * lanes),
                "load": In(1),
                "run": In(1),
                "pulse": Out(lanes),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        step = Signal(range(self._q_max + 1))
        planes = [Signal(len(self.pulse), name=f"code_{b}") for b in range(self._width)]
        with m.If(self.load):
            for plane, value in zip(planes, lanes_to_planes(self.code, self._width), strict=True):
                m.d.sync += plane.eq(value)
        longer = Signal(len(self.pulse))
        m.d.comb += longer.eq(differs(planes, step))
        with m.If(~self.run):
            m.d.sync += [step.eq(0), self.pulse.eq(0)]
        with m.Else():
            with m.If(step == 0):
                m.d.sync += self.pulse.eq(longer)
            with m.Else():
                m.d.sync += self.pulse.eq(self.pulse & longer)
            with m.If(step != self._q_max):
                m.d.sync += step.eq(step + 1)
        return m
