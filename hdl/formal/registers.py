"""Properties of the register bank: every address answers and holds what `docs/core.md` says."""

from amaranth import Cat, Const, Mux, Signal, Value

from analog_models.spec import HardwareSpec
from hdl.formal.bus_writes import BusWrites
from hdl.formal.design import Design, Patch
from hdl.formal.property import Property
from hdl.formal.property_circuit import Monitor
from hdl.formal.specs import FEW_SLOTS

__all__ = ["PROPERTIES", "Setting"]

HEADS, SCHEDULE_BITS, SATURATED = 2, 2, 60
READ_ONLY = ("identity", "heads", "status", "error_slot", "error_heads")


def addresses(design: Design) -> dict[str, int]:
    """Number of each register, by name."""
    return {register.name: n for n, register in enumerate(design.registers.REGISTERS)}


class Setting:
    """The 32 bits that were written to a register, from its value after reset on."""

    def __init__(self, watch: Monitor, writes: BusWrites, name: str, number: int, reset: int):
        self.value = Signal(32, name=f"{name}_model", init=reset)
        with watch.m.If(writes.of(number)):
            merged = writes.ones | (self.value & ~writes.bits)
            watch.m.d.sync += self.value.eq(merged)


class BankMonitor(Monitor):
    """Watches a register bank. The solver drives its bus and the state that it shows.

    `content` has the model of each register, by name.
    """

    def __init__(self, design: Design, spec: HardwareSpec) -> None:
        bank = design.registers.RegisterBank(spec, HEADS, SCHEDULE_BITS, SATURATED)
        super().__init__(design, bank)
        self.number = addresses(design)
        self.writes = writes = BusWrites(self, bank.bus, "port")
        window = spec.geometry.window
        self.content: dict[str, Value] = {
            "identity": Const(0x6743_0001, 32),
            "heads": Const(HEADS << 16 | window, 32),
            "status": Cat(bank.busy, bank.waiting, Const(0, 6), bank.chosen),
        }
        for name, reset in (("schedule", 0), ("window_length", window)):
            setting = Setting(self, writes, name, self.number[name], reset).value
            self.content[name] = setting
            self.lemma(self.register(f"{name}_written") == setting, "it is kept")
        self._model_flush()
        self._model_errors()
        writes_token = bank.accept & ~bank.query_only
        for name, step in (
            ("tokens", writes_token),
            ("queries", bank.accept & bank.query_only),
            ("stall_cycles", bank.waiting),
            ("saturated_pulses", bank.saturated),
        ):
            self._model_counter(name, step)

    def _model_flush(self) -> None:
        bank, flush = self.dut, Signal(name="flush_model")
        with self.m.If(self.writes.of(self.number["flush"]) & self.writes.ones[0]):
            self.m.d.sync += flush.eq(1)
        with self.m.Elif(bank.accept & ~bank.query_only):
            self.m.d.sync += flush.eq(0)
        self.content["flush"] = flush
        self.lemma(bank.flush == flush, "a flush waits")

    def _model_errors(self) -> None:
        """Flags by themselves; the place of the first, chosen in the order of the flags."""
        bank, m = self.dut, self.m
        flags = Signal.like(bank.errors, name="errors_model")
        place = Signal(len(bank.slots[0]) + HEADS, name="place_model")
        cleared = Mux(self.writes.of(self.number["errors"]), self.writes.ones, 0)
        left = (flags & ~cleared)[: len(flags)]
        first: Value = place
        for number in reversed(range(len(flags))):
            here = Cat(bank.slots[number], bank.heads[number])
            first = Mux(bank.errors[number], here, first)
        m.d.sync += [flags.eq(left | bank.errors), place.eq(Mux(left == 0, first, place))]
        slot, heads = place[:-HEADS], place[-HEADS:]
        self.content |= {"errors": flags, "error_slot": slot, "error_heads": heads}
        for name, model in (("flags", flags), ("slot", slot), ("heads", heads)):
            self.lemma(self.register(f"error_{name}") == model, "the first error is kept")

    def _model_counter(self, name: str, step: Value) -> None:
        count = Signal(32, name=f"{name}_model")
        total = Mux(self.writes.of(self.number[name]), 0, count) + step
        self.m.d.sync += count.eq(Mux(total > 0xFFFF_FFFF, 0xFFFF_FFFF, total))
        self.content[name] = count
        self.lemma(self.register(name) == count, "it is counted")


def as_documented(design: Design, spec: HardwareSpec) -> Monitor:
    """Hold a model of each register against what a read answers, at every address."""
    watch = BankMonitor(design, spec)
    bus, m = watch.dut.bus, watch.m
    held, exists = Value.cast(0), Value.cast(0)
    for name, number in watch.number.items():
        here = bus.araddr[2:] == number
        held, exists = Mux(here, watch.content[name], held), exists | here
    expected, okay = Signal(32), Signal()
    with m.If(bus.arvalid & bus.arready):
        m.d.sync += [expected.eq(held), okay.eq(exists)]
    watch.always(~bus.rvalid | (bus.rdata == expected), "a register reads as its model")
    watch.always(~bus.rvalid | (bus.rresp == Mux(okay, 0, 2)), "SLVERR where there is none")
    writable = [n for name, n in watch.number.items() if name not in READ_ONLY]
    allowed = watch.writes.address.matches(*writable)
    watch.always(~bus.bvalid | (bus.bresp == Mux(allowed, 0, 2)), "SLVERR if it is read-only")
    watch.always(watch.dut.error == (watch.content["errors"] != 0), "the pin shows an error")
    for name in ("schedule", "window_length"):
        setting = getattr(watch.dut, name)
        value = watch.content[name]
        counts = Mux(value < 2 ** len(setting), value, 0)
        watch.always(setting == counts, "what has more bits counts as 0")
    return watch


PROPERTIES = [
    Property(
        name="registers-are-as-documented",
        statement="At every address a read answers with what the documentation says, reserved bits "
        "0, after any writes with any strobes; SLVERR where there is no register, and to a write "
        "where it is read-only.",
        component="RegisterBank",
        spec=FEW_SLOTS,
        watch=as_documented,
        depth=2,
        broken=Patch(
            "registers",
            "self._ones() | (written & ~self._strobed())",
            "self._ones()",
            "bytes that are not strobed are cleared",
        ),
        caught_within=15,
    ),
]
