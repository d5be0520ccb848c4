"""Pulse monitor: pulses that last too long, signs that change in a count, saturated counts."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from analog_models.spec import HardwareSpec
from hdl.bitplanes import add_columns
from hdl.timeline import timelines

__all__ = ["PulseMonitor"]


class PulseMonitor(wiring.Component):
    """Watches the pins of one head for what its converters must not do.

    Members
    -------
    active : In
        Control signals (`timeline`).
    phi, out_pulse, out_negative : In
        Pins of the head (`ArrayPins`).
    sampled : In
        The output pulses as they were sampled last (`PulseCounter`).
    phi_late, out_late : Out(1)
        A pulse is still high `timing.pulse_guard` cycles after its phase.
    sign_changed : Out(1)
        An output pulse is high with another sign than at its first counting edge.
    saturated : Out
        Output pulses that reached the largest count, some sub-tiles in each of the cycles after
        a read-out: to be added up.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        geometry = spec.geometry
        outputs = geometry.subtiles * geometry.head_dim
        lines = timelines(spec)
        # A sample stays until the first of the next read-out: so many cycles to count it in.
        cycles = min(line.period - len(line.intervals["convert"]) for line in lines)
        self._group = -(-geometry.subtiles // max(1, cycles)) * geometry.head_dim
        self._guard = spec.timing.pulse_guard
        super().__init__(
            {
                "active": In(lines[0].signature),
                "phi": In(geometry.window),
                "out_pulse": In(outputs),
                "out_negative": In(outputs),
                "sampled": In(outputs),
                "phi_late": Out(1),
                "out_late": Out(1),
                "sign_changed": Out(1),
                "saturated": Out(range(self._group + 1)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        active = self.active
        phi_due = self._later(m, "phi_due", active.activate_end)
        out_due = self._later(m, "out_due", active.read_out_end)
        sign = Signal.like(self.out_negative)
        with m.If(active.clear):
            m.d.sync += sign.eq(self.out_negative)
        differs = Signal.like(sign)
        m.d.comb += differs.eq((self.out_negative ^ sign) & self.out_pulse)
        counting = active.convert & ~active.clear
        m.d.sync += [
            self.phi_late.eq(phi_due & self.phi.any()),
            self.out_late.eq(out_due & self.out_pulse.any()),
            self.sign_changed.eq(counting & differs.any()),
        ]
        self._count_saturated(m)
        return m

    def _later(self, m: Module, name: str, signal: Value) -> Value:
        """`signal` as many cycles later as a pulse may be late."""
        for cycle in range(self._guard):
            delayed = Signal(name=f"{name}_{cycle}")
            m.d.sync += delayed.eq(signal)
            signal = delayed
        return signal

    def _count_saturated(self, m: Module) -> None:
        """A pulse that is high at the last counting edge has the largest count."""
        outputs, size = len(self.sampled), self._group
        groups = -(-outputs // size)
        converting = Signal()
        m.d.sync += converting.eq(self.active.convert)
        # A one walks through the groups, from the cycle in which the last sample is there.
        turn = Signal(groups)
        first = converting & ~self.active.convert
        m.d.comb += turn[0].eq(first)
        if groups > 1:
            behind = Signal(groups - 1)
            m.d.sync += behind.eq(turn[:-1])
            m.d.comb += turn[1:].eq(behind)
        parts = [self.sampled[i * size : (i + 1) * size] for i in range(groups)]
        chosen = Signal(size)
        m.d.comb += chosen.eq(
            reduce(or_, (part & turn[i].replicate(size) for i, part in enumerate(parts)))
        )
        width = len(self.saturated)
        m.d.comb += self.saturated.eq(Cat(add_columns(m, {0: [*chosen]}, width)))
