"""The attention core: heads that share one control, one token stream, one result stream."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from analog_models.spec import HardwareSpec, load_preset
from common.errors import SpecError
from hdl.axi_lite import AxiLite
from hdl.control import ArrayControl, HeadControl
from hdl.datapath import ArrayPins, HeadDatapath
from hdl.monitor import PulseMonitor
from hdl.registers import ADDR_BITS, MAX_WINDOW, RegisterBank
from hdl.streams import result_layout, token_layout

__all__ = ["MAX_HEADS", "AttentionCore", "check_core"]

MAX_HEADS = 32  # bits of the register `error_heads`


def check_core(spec: HardwareSpec, heads: int) -> None:
    """Raise `SpecError` for a number of heads or a window that the registers of a core lack."""
    if not 1 <= heads <= MAX_HEADS:
        raise SpecError(f"heads = {heads}: allowed 1 to {MAX_HEADS}")
    if spec.geometry.window > MAX_WINDOW:
        raise SpecError(
            f"geometry.subtile * geometry.subtiles = {spec.geometry.window}: allowed 1 to "
            f"{MAX_WINDOW} in a core, whose register `heads` has 16 bits for it"
        )


class AttentionCore(wiring.Component):
    """`heads` attention heads in step: a token of the core is one beat for each of them, in order.

    The beats of the next token are collected while the present one runs. Flags count in the beat
    of head 0. A result is one beat for each head, too; the heads keep their results until the last
    beat is taken.

    Members
    -------
    token : In(stream of `token_layout`), result : Out(stream of head number and `result_layout`)
    bus : In(AxiLite)
        The registers (`registers.REGISTERS`).
    error : Out(1)
        Some error is flagged.
    control : Out(ArrayControl)
        For the arrays of all heads.
    pins : Out(ArrayPins), one for each head

    All outputs come from registers, so that none follows an input of the same cycle, but the rows
    of the arrays, which carry the phi pulses on at their analog width.

    Raises `SpecError` for a number of heads or a window out of range.
    """

    def __init__(self, spec: HardwareSpec | None = None, heads: int = 4) -> None:
        self.spec = spec = spec or load_preset()
        check_core(spec, heads)
        self._heads = heads
        self._control = HeadControl(spec)
        self._result = data.StructLayout({"head": range(max(2, heads)), "out": result_layout(spec)})
        super().__init__(
            {
                "token": In(stream.Signature(token_layout(spec))),
                "result": Out(stream.Signature(self._result)),
                "bus": In(AxiLite(ADDR_BITS)),
                "error": Out(1),
                "control": Out(ArrayControl()),
                "pins": Out(ArrayPins(spec)).array(heads),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.control = control = self._control
        datapaths = [HeadDatapath(self.spec) for _ in range(self._heads)]
        monitors = [PulseMonitor(self.spec) for _ in range(self._heads)]
        largest = sum(2 ** len(monitor.saturated) - 1 for monitor in monitors)
        bank = RegisterBank(self.spec, self._heads, len(control.schedule), largest)
        m.submodules.registers = bank
        connect(m, wiring.flipped(self.control), control.pins)
        connect(m, wiring.flipped(self.bus), bank.bus)
        for number, (path, monitor) in enumerate(zip(datapaths, monitors, strict=True)):
            m.submodules[f"head_{number}"] = path
            m.submodules[f"monitor_{number}"] = monitor
            self._connect_head(m, self.pins[number], path, monitor)
        self._take_tokens(m, bank, datapaths)
        self._give_results(m, datapaths)
        self._report(m, bank, monitors)
        return m

    def _connect_head(self, m: Module, pins, path: HeadDatapath, monitor: PulseMonitor) -> None:
        control = self._control
        connect(m, control.active, path.active)
        connect(m, control.active, monitor.active)
        connect(m, wiring.flipped(pins), path.pins)
        m.d.comb += [
            path.accept.eq(control.accept),
            path.slot.eq(control.slot),
            path.valid.eq(control.valid),
            path.show.eq(control.result_valid),
            monitor.phi.eq(pins.phi),
            monitor.out_pulse.eq(pins.out_pulse),
            monitor.out_negative.eq(pins.out_negative),
            monitor.sampled.eq(path.sampled),
        ]

    def _take_tokens(self, m: Module, bank: RegisterBank, datapaths: list[HeadDatapath]) -> None:
        """Collect a beat for each head; the heads start together."""
        control = self._control
        beat = Signal(range(self._heads + 1))
        full, taken = Signal(), Signal()
        first = Signal(2)  # flush and query_only, from the beat of head 0
        flush, query_only = self.token.payload.flush, self.token.payload.query_only
        m.d.comb += [
            full.eq(beat == self._heads),
            self.token.ready.eq(~full),
            taken.eq(self.token.valid & self.token.ready),
            control.token_valid.eq(full),
            Cat(control.flush, control.query_only).eq(first),
            control.schedule.eq(bank.schedule),
            control.window_length.eq(bank.window_length),
            bank.accept.eq(control.accept),
            bank.query_only.eq(control.query_only),
        ]
        with m.If(bank.flush):
            m.d.comb += control.flush.eq(1)
        with m.If(control.accept):
            m.d.sync += beat.eq(0)
        with m.Elif(taken):
            m.d.sync += beat.eq(beat + 1)
        for number, path in enumerate(datapaths):
            staged = Signal(token_layout(self.spec), name=f"staged_{number}")
            m.d.comb += path.token.eq(staged)
            with m.If(taken & (beat == number)):
                m.d.sync += staged.eq(self.token.payload)
                if number == 0:
                    m.d.sync += first.eq(Cat(flush, query_only))

    def _give_results(self, m: Module, datapaths: list[HeadDatapath]) -> None:
        """Offer the heads' results one after the other."""
        control = self._control
        out = Signal(result_layout(self.spec))
        head = Signal(range(max(2, self._heads)))
        last = head == self._heads - 1
        m.d.comb += [
            self.result.valid.eq(control.result_valid),
            control.result_ready.eq(self.result.ready & last),
            self.result.payload.eq(Cat(head, out)),  # in one piece: Icarus would miss a constant
        ]
        with m.If(self.result.valid & self.result.ready):
            m.d.sync += head.eq(Mux(last, 0, head + 1))
        with m.Switch(head):
            for number, path in reversed([*enumerate(datapaths)]):
                with m.Default() if number == 0 else m.Case(number):
                    m.d.comb += out.eq(path.result)

    def _report(self, m: Module, bank: RegisterBank, monitors: list[PulseMonitor]) -> None:
        """Errors with the slot of the token that they happened to, and what the counters count."""
        control, active = self._control, self._control.active
        # Slots of the tokens that are activated, have been activated, and are read out.
        scored, activated, read = (
            Signal.like(control.slot, name=name) for name in ("scored", "activated", "read")
        )
        for now, slot, before in (
            (active.capture, scored, control.slot),
            (active.activate_end, activated, scored),
            (active.clear, read, activated),
        ):
            with m.If(now):
                m.d.sync += slot.eq(before)
        refused = Signal()
        m.d.sync += refused.eq(self.token.valid & ~self.token.ready)
        everywhere = 2**self._heads - 1
        lost = active.clear & control.result_valid & ~control.result_ready
        rows = [
            (Cat(monitor.phi_late for monitor in monitors), activated),
            (Cat(monitor.out_late for monitor in monitors), read),
            (Cat(monitor.sign_changed for monitor in monitors), read),
            (Mux(lost, everywhere, 0), read),
            (Mux(refused & ~self.token.valid, everywhere, 0), control.slot),
        ]
        for number, (heads, slot) in enumerate(rows):
            m.d.comb += [bank.heads[number].eq(heads), bank.slots[number].eq(slot)]
            m.d.comb += bank.errors[number].eq(bank.heads[number] != 0)
        m.d.comb += [
            bank.busy.eq(control.busy),
            bank.waiting.eq(control.waiting),
            bank.chosen.eq(control.chosen),
            bank.saturated.eq(sum(monitor.saturated for monitor in monitors)),
            self.error.eq(bank.error),
        ]
