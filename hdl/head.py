"""The control plane of one attention head."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from analog_models.spec import HardwareSpec, load_preset
from hdl.activation import ActivationGate
from hdl.pulse_counter import PulseCounter
from hdl.pulse_generator import PulseGenerator
from hdl.sequencer import PhaseSequencer
from hdl.streams import result_layout, token_layout
from hdl.window import WindowPointer
from hdl.write_scheduler import WritePort, WriteScheduler, strobe_interval

__all__ = ["AttentionHead", "control_intervals"]


def control_intervals(spec: HardwareSpec) -> dict[str, range]:
    """Cycles in which each control signal of a head is high, from the specification's phases.

    Beside the phases: the write strobes inside theirs; `run_pulses`, one cycle ahead of `score`
    because the pulses come from registers; `convert`, one cycle ahead of `read_out` because the
    output pulses pass a sampling register, and as long as the largest count.
    """
    phases = spec.schedule.phases
    score, read_out = phases["score"], phases["read_out"]
    return {
        "strobe_k": strobe_interval(spec, phases["write_k"]),
        "write_v": phases["write_v"],
        "strobe_v": strobe_interval(spec, phases["write_v"]),
        "reset": phases["reset"],
        "run_pulses": range(score.start - 1, score.start - 1 + spec.levels.q_max),
        "score": score,
        "activate": phases["activate"],
        "convert": range(read_out.start - 1, read_out.start - 1 + spec.levels.count_max),
        "read_out": read_out,
    }


class AttentionHead(wiring.Component):
    """Takes a token's codes, drives the arrays through its phases and counts what comes back.

    A result keeps the counters until it is taken; meanwhile the next token may be written but
    waits in its reset phase, where no charge is integrated. `result.valid` rises
    `spec.schedule.latency` cycles after the edge that accepts the token, and the next token is
    accepted at that same edge.

    Members
    -------
    token : In(stream of `token_layout`)
    result : Out(stream of `result_layout`)
    window_length : In
        Tokens that the window holds; see `WindowPointer`.
    write : Out(WritePort)
        DAC codes, slot and strobes of the arrays.
    q_pulse : Out(head_dim)
        Word lines of all K arrays.
    reset, score, activate : Out(1)
        Phases: discharge the integrators; integrate on the K columns; convert their charge to phi
        pulses and integrate on the V columns.
    convert : Out(1)
        Convert the charge of the V columns: their pulses start half a clock after this rises.
    phi, row : In(window), Out(window)
        Activation pulses from the K columns, and gated to the V rows, lane = slot.
    out_pulse, out_negative : In(sub-tiles * head_dim)
        Output pulses and signs, lane = sub-tile * head_dim + dimension.
    """

    def __init__(self, spec: HardwareSpec | None = None) -> None:
        self.spec = spec = spec or load_preset()
        geometry = spec.geometry
        outputs = geometry.subtiles * geometry.head_dim
        super().__init__(
            {
                "token": In(stream.Signature(token_layout(spec))),
                "result": Out(stream.Signature(result_layout(spec))),
                "window_length": In(range(geometry.window + 1)),
                "write": Out(WritePort(spec)),
                "q_pulse": Out(geometry.head_dim),
                "reset": Out(1),
                "score": Out(1),
                "activate": Out(1),
                "convert": Out(1),
                "phi": In(geometry.window),
                "row": Out(geometry.window),
                "out_pulse": In(outputs),
                "out_negative": In(outputs),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        intervals = control_intervals(spec)
        m.submodules.sequencer = sequencer = PhaseSequencer(
            intervals, hold_at=intervals["reset"].start
        )
        m.submodules.window = window = WindowPointer(spec)
        m.submodules.write_scheduler = writer = WriteScheduler(spec)
        m.submodules.pulse_generator = generator = PulseGenerator(spec)
        m.submodules.activation = gate = ActivationGate(spec)
        m.submodules.pulse_counter = counter = PulseCounter(spec)
        active = sequencer.active

        accept = Signal()
        m.d.comb += accept.eq(self.token.valid & self.token.ready)
        m.d.comb += [
            self.token.ready.eq(sequencer.ready),
            sequencer.start.eq(accept),
            window.advance.eq(accept),
            window.flush.eq(self.token.payload.flush),
            window.window_length.eq(self.window_length),
        ]
        m.d.comb += [generator.code.eq(self.token.payload.q), generator.load.eq(accept)]
        for held, offered in (
            (writer.k, self.token.payload.k),
            (writer.v, self.token.payload.v),
        ):
            register = Signal.like(held, name=f"{held.name}_register")
            m.d.comb += held.eq(register)
            with m.If(accept):
                m.d.sync += register.eq(offered)

        m.d.comb += [
            writer.slot.eq(window.slot),
            writer.write_v.eq(active.write_v),
            writer.strobe_k.eq(active.strobe_k),
            writer.strobe_v.eq(active.strobe_v),
            generator.run.eq(active.run_pulses),
            self.q_pulse.eq(generator.pulse),
            gate.activate.eq(active.activate),
            gate.valid.eq(window.valid),
            gate.phi.eq(self.phi),
            self.row.eq(gate.row),
            counter.pulse.eq(self.out_pulse),
            counter.negative.eq(self.out_negative),
            counter.clear.eq(active.score),
            counter.sample.eq(active.convert),
            counter.show.eq(self.result.valid),
            self.reset.eq(active.reset),
            self.score.eq(active.score),
            self.activate.eq(active.activate),
            self.convert.eq(active.convert),
        ]
        connect(m, wiring.flipped(self.write), writer.port)

        m.d.comb += self.result.payload.eq(counter.total)
        m.d.comb += sequencer.hold.eq(self.result.valid & ~self.result.ready)
        with m.If(sequencer.done):
            m.d.sync += self.result.valid.eq(1)
        with m.Elif(self.result.ready):
            m.d.sync += self.result.valid.eq(0)
        return m
