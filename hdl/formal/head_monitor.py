"""What the monitors of a whole head share: where its tokens are in the schedule."""

from collections.abc import Callable
from functools import partial
from typing import Any

from amaranth import Mux, Signal, Value

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design
from hdl.formal.property import Property
from hdl.formal.property_circuit import Monitor
from hdl.formal.specs import FEW_SLOTS

__all__ = ["ControlMonitor", "HeadMonitor", "head_property"]

head_property = partial(Property, component="AttentionHead", spec=FEW_SLOTS, depth=2)


class ControlMonitor(Monitor):
    """Watches a component with a `HeadControl`, which runs every schedule of the specification.

    The solver drives the streams, the schedule, the window length and all analog inputs as it
    likes, from cycle to cycle.

    Attributes
    ----------
    accept, take, valid : Value
        A token is accepted at the next edge, a result is taken, a result is there.
    pins, flags : ArrayControl, name -> Value
        Of the control: what the arrays see, and all signals of the timeline.
    cycle, stage, repeating : Signal
        Registers of the sequencer.
    """

    def __init__(self, design: Design, dut: Any, unit: Any, spec: HardwareSpec) -> None:
        super().__init__(design, dut)
        self.spec, self.unit = spec, unit
        self.timelines = design.timeline.timelines(spec)
        self.control = unit.pins
        self.accept, self.valid = unit.accept, unit.result_valid
        self.take = unit.result_valid & unit.result_ready
        self.sequencer = unit.sequencer
        active = self.sequencer.active
        names = active.signature.members
        self.flags: dict[str, Value] = {name: getattr(active, name) for name in names}
        self.cycle = self.register("cycle", "control", "sequencer")
        self.stage = self.register("stage", "control", "sequencer")
        self.repeating = self.register("repeating", "control", "sequencer")
        self._lemmas()

    def by_schedule(self, of: Callable) -> Value:
        """`of` the timeline that runs."""
        first, *others = (of(timeline) for timeline in self.timelines)
        value = Value.cast(first)
        for number, other in enumerate(others, 1):
            value = Mux(self.sequencer.chosen == number, other, value)
        return value

    def tokens_in(self, interval: Callable) -> Value:
        """How many tokens are in `interval` (of a timeline), which may be empty."""
        return self._sum(interval, lambda cycle: Value.cast(1))

    def elapsed(self, interval: Callable) -> Value:
        """Cycles that the token in `interval` (of a timeline) has been there; 0 without one."""
        return self._sum(interval, lambda cycle: cycle)

    def _sum(self, interval: Callable, of: Callable) -> Value:
        """Sum over the tokens in `interval` of a function of the cycle in it."""

        def total(timeline) -> Value:
            value = Value.cast(0)
            inside = interval(timeline)
            for stage in range(timeline.stages):
                begin = stage * timeline.period
                start = max(0, inside.start - begin)
                stop = min(timeline.period, inside.stop - begin)
                here = (self.cycle >= start) & (self.cycle < stop) & self.stage[stage]
                if start < stop:
                    cycle = (self.cycle + (begin - inside.start))[: len(self.cycle) + 1]
                    value = value + Mux(here, of(cycle), 0)
            return value

        return self.by_schedule(total)

    def any_in(self, interval: Callable) -> Value:
        """Whether a token is in `interval` (of a timeline)."""
        return self.tokens_in(interval) != 0

    def bank_to_convert(self, charge: str, convert: str) -> Value:
        """The capacitor of the token that `convert` comes to next, after its `charge`.

        The bank pin of a conversion moves on at the end of the phase, the control signal may have
        ended before. With a lemma: the banks of both phases differ by the tokens between them.
        """
        end = {"activate": "activate_end", "convert": "read_out_end"}[convert]
        bank = getattr(self.control, f"{convert}_bank")
        double = self.by_schedule(lambda t: t.capacitors == 2)
        between = self.tokens_in(lambda t: range(t.intervals[charge].stop, t.intervals[end].stop))
        differ = getattr(self.control, f"{charge}_bank") ^ bank
        self.lemma(differ == (between[0] & double), "banks take turns")
        older = self.any_in(lambda t: range(t.intervals[convert].stop, t.intervals[end].stop))
        return bank ^ (older & double)

    def window_registers(self) -> tuple[Signal, Signal]:
        """How many slots are filled, and were at the last capture. With lemmas on both."""
        window, slots = ("control", "window"), self.spec.geometry.window
        filled, captured = (self.register(name, *window) for name in ("filled", "captured"))
        last, latest = self.register("last", *window), self.unit.slot
        in_order = (filled == latest + 1) | (filled == last + 1)
        begun = (latest <= last) & (last < slots) & in_order
        self.lemma(begun | ((filled == 0) & (latest == 0)), "slots fill in order")
        self.lemma(captured <= slots, "captured when so many were filled")
        return filled, captured

    def _lemmas(self) -> None:
        """The control signals follow from cycle and stages; a result has room when it comes."""
        period, stages = (lambda t: t.period), (lambda t: 2**t.stages)
        self.lemma(self.sequencer.chosen < len(self.timelines), "a schedule that exists")
        self.lemma(self.stage < self.by_schedule(stages), "no more stages than there are")
        self.lemma((self.stage == 0) | (self.cycle < self.by_schedule(period)), "in the period")
        for name, flag in self.flags.items():
            expected = self.any_in(lambda t, name=name: t.intervals[name])
            if name.startswith("strobe"):
                expected = expected & ~self.repeating
            self.lemma(flag == expected, f"{name} in its interval")
        passed_hold = self.any_in(lambda t: range(t.hold + 1, t.latency))
        self.lemma(
            ~(passed_hold & self.by_schedule(self._before_done) & self.valid),
            "a token that went past the hold finds the result taken",
        )

    def _before_done(self, timeline) -> Value:
        """The cycle is after the hold and not after that in which a token is done."""
        hold, done = timeline.hold, (timeline.latency - 1) % timeline.period
        after, before = self.cycle > hold, self.cycle <= done
        return after & before if hold < done else after | before


class HeadMonitor(ControlMonitor):
    """Watches a whole head."""

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        head = design.head.AttentionHead(spec)
        super().__init__(design, head, head.control_unit, spec)
        self.writes, self.control = head.pins.write, head.control
