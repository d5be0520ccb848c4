"""Properties of a core: what software writes to its settings is what its tokens meet."""

from amaranth import Mux, Signal, Value

from analog_models.spec import HardwareSpec
from hdl.formal.bus_writes import BusWrites
from hdl.formal.core import CoreMonitor
from hdl.formal.design import Design, Patch
from hdl.formal.head_monitor import head_property
from hdl.formal.property_circuit import Monitor
from hdl.formal.registers import Setting, addresses

__all__ = ["PROPERTIES"]


class SettingMonitor(CoreMonitor):
    """Follows the writes over the bus to one register; `value` is what it holds, all 32 bits."""

    def __init__(self, design: Design, spec: HardwareSpec, name: str, reset: int) -> None:
        super().__init__(design, spec)
        writes = BusWrites(self, self.dut.bus, "registers", "port")
        number = addresses(design)[name]
        self.value: Value = Setting(self, writes, name, number, reset).value
        self.lemma(self.register(f"{name}_written", "registers") == self.value, "it is kept")


def window_length(design: Design, spec: HardwareSpec) -> Monitor:
    """Take the length from the register when a sequence starts, and compare."""
    slots = spec.geometry.window
    watch = SettingMonitor(design, spec, "window_length", slots)
    unit, m = watch.unit, watch.m
    begun = Signal()
    length = Signal(range(slots + 1))
    writes_token = watch.accept & ~unit.query_only
    with m.If(writes_token):
        m.d.sync += begun.eq(1)
        with m.If(unit.flush | ~begun):
            whole = (watch.value == 0) | (watch.value > slots)
            m.d.sync += length.eq(Mux(whole, slots, watch.value))
    last = watch.register("last", "control", "window")
    watch.always(~begun | (last == length - 1), "the window ends where it should")
    watch.always(~begun | (unit.slot < length), "no slot beyond it is used")
    filled, _ = watch.window_registers()
    watch.lemma(begun == (filled != 0), "a sequence fills slots")
    return watch


def schedule(design: Design, spec: HardwareSpec) -> Monitor:
    """Compare the schedule that runs with the register whenever a token may start."""
    watch = SettingMonitor(design, spec, "schedule", 0)
    asked = Mux(watch.value < len(spec.schedules), watch.value, 0)
    chosen = watch.sequencer.chosen
    watch.always(~watch.accept | (chosen == asked), "a token is accepted in that schedule")
    idle = watch.past(~watch.sequencer.busy, "idle")
    before, last = watch.past(asked, "asked"), watch.past(chosen, "chosen")
    watch.always(chosen == Mux(idle, before, last), "which takes over when no token is in flight")
    return watch


PROPERTIES = [
    head_property(
        name="core-window-is-as-written",
        statement="Whatever was written to `window_length`, and with whatever strobes, a sequence "
        "that starts has a window of so many slots; of all slots if it is 0 or more than there "
        "are.",
        component="AttentionCore",
        watch=window_length,
        broken=Patch(
            "registers",
            "setting.eq(Mux(beyond, 0, written[: len(setting)]))",
            "setting.eq(written[: len(setting)])",
            "bits for which there is no place are dropped",
        ),
        caught_within=20,
    ),
    head_property(
        name="core-schedule-is-as-written",
        statement="Whatever was written to `schedule`, and with whatever strobes, tokens are "
        "accepted in the schedule of that number, in the first if there is none, and it takes over "
        "when no token is in flight.",
        component="AttentionCore",
        watch=schedule,
        broken=Patch(
            "sequencer",
            "asked.eq(Mux(self.choice < len(self._timelines), self.choice, 0))",
            "asked.eq(self.choice)",
            "a number without a schedule is chosen, too",
        ),
        caught_within=20,
    ),
]
