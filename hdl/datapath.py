"""Head datapath: one head's registers, pulse generators, gates and counters, under a control."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from analog_models.spec import HardwareSpec
from hdl.activation import ActivationGate
from hdl.pulse_counter import PulseCounter
from hdl.pulse_generator import PulseGenerator
from hdl.streams import result_layout, token_layout
from hdl.timeline import timelines
from hdl.write_scheduler import WritePort, WriteScheduler

__all__ = ["ArrayPins", "HeadDatapath"]


class ArrayPins(wiring.Signature):
    """The pins between the digital side and the arrays of one head.

    Members
    -------
    write : Out(WritePort)
        DAC codes, slot and strobes of the arrays.
    q_pulse : Out(head_dim)
        Word lines of all K arrays.
    phi, row : In(window), Out(window)
        Activation pulses from the K columns, and gated to the V rows, lane = slot.
    out_pulse, out_negative : In(sub-tiles * head_dim)
        Output pulses and signs, lane = sub-tile * head_dim + dimension.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        geometry = spec.geometry
        outputs = geometry.subtiles * geometry.head_dim
        super().__init__(
            {
                "write": Out(WritePort(spec)),
                "q_pulse": Out(geometry.head_dim),
                "phi": In(geometry.window),
                "row": Out(geometry.window),
                "out_pulse": In(outputs),
                "out_negative": In(outputs),
            }
        )


class HeadDatapath(wiring.Component):
    """Turns codes into what the pins of the arrays see, and pulses back into codes.

    Members
    -------
    token : In
        Codes of a token (`token_layout`).
    accept : In(1)
        Take them at the next edge.
    active : In
        Control signals (`timeline`).
    slot, valid : In
        Slot of the latest token; slots whose activation pulses may pass.
    show : In(1)
        The result is complete.
    pins : Out(ArrayPins)
    result : Out
        Output codes (`result_layout`), 0 unless `show`.
    sampled : Out
        The output pulses as they were sampled last.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        geometry = spec.geometry
        super().__init__(
            {
                "token": In(token_layout(spec)),
                "accept": In(1),
                "active": In(timelines(spec)[0].signature),
                "slot": In(range(geometry.window)),
                "valid": In(geometry.window),
                "show": In(1),
                "pins": Out(ArrayPins(spec)),
                "result": Out(result_layout(spec)),
                "sampled": Out(geometry.subtiles * geometry.head_dim),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, active, pins = self._spec, self.active, self.pins
        m.submodules.write_scheduler = writer = WriteScheduler(spec)
        m.submodules.pulse_generator = generator = PulseGenerator(spec)
        m.submodules.activation = gate = ActivationGate(spec)
        m.submodules.pulse_counter = counter = PulseCounter(spec)
        for held, offered in ((writer.k, self.token.k), (writer.v, self.token.v)):
            register = Signal.like(held, name=f"{held.name}_register")
            m.d.comb += held.eq(register)
            with m.If(self.accept):
                m.d.sync += register.eq(offered)
        m.d.comb += [
            writer.slot.eq(self.slot),
            writer.write_v.eq(active.write_v),
            writer.strobe_k.eq(active.strobe_k),
            writer.strobe_v.eq(active.strobe_v),
            generator.code.eq(self.token.q),
            generator.load.eq(self.accept),
            generator.run.eq(active.run_pulses),
            pins.q_pulse.eq(generator.pulse),
            gate.activate.eq(active.activate),
            gate.valid.eq(self.valid),
            gate.phi.eq(pins.phi),
            pins.row.eq(gate.row),
            counter.pulse.eq(pins.out_pulse),
            counter.negative.eq(pins.out_negative),
            counter.clear.eq(active.clear),
            counter.sample.eq(active.convert),
            counter.show.eq(self.show),
            self.result.eq(counter.total),
            self.sampled.eq(counter.sampled),
        ]
        connect(m, wiring.flipped(pins.write), writer.port)
        return m
