"""Properties of a head on the pins of its arrays: nothing happens at once that must not."""

from amaranth import Mux, Signal

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.head_monitor import HeadMonitor, head_property
from hdl.formal.property_circuit import Monitor

__all__ = ["PROPERTIES"]


def one_strobe(design: Design, spec: HardwareSpec) -> Monitor:
    """Both strobes on the pins."""
    watch = HeadMonitor(design, spec)
    watch.always(~(watch.writes.strobe_k & watch.writes.strobe_v), "one strobe at a time")
    return watch


def no_write_while_read(design: Design, spec: HardwareSpec) -> Monitor:
    """An array is read while its columns integrate, or any of its lines carries a pulse."""
    watch = HeadMonitor(design, spec)
    pins, control = watch.dut.pins, watch.control
    reads_k, reads_v = control.score | pins.q_pulse.any(), control.activate | pins.row.any()
    watch.always(~(watch.writes.strobe_k & reads_k), "K is not written while it is read")
    watch.always(~(watch.writes.strobe_v & reads_v), "V is not written while it is read")
    return watch


def dac_is_stable(design: Design, spec: HardwareSpec) -> Monitor:
    """Code and slot stay from the cycle before a strobe to the cycle after it."""
    watch = HeadMonitor(design, spec)
    writes = watch.writes
    strobe = writes.strobe_k | writes.strobe_v
    strobed = watch.past(strobe, "strobe")
    code, slot = watch.past(writes.code, "code"), watch.past(writes.slot, "slot")
    same = (writes.code == code) & (writes.slot == slot)
    watch.always(~(strobe | strobed) | same, "code and slot stay around a strobe")
    return watch


def pulses_in_phase(design: Design, spec: HardwareSpec) -> Monitor:
    """Word lines of K carry pulses only in `score`, rows of V only in `activate`."""
    watch = HeadMonitor(design, spec)
    pins, control = watch.dut.pins, watch.control
    watch.always(control.score | ~pins.q_pulse.any(), "query pulses in score only")
    watch.always(control.activate | ~pins.row.any(), "gates open in activate only")
    return watch


def off_after_reset(design: Design, spec: HardwareSpec) -> Monitor:
    """Look at all pins from a reset to the first token."""
    watch = HeadMonitor(design, spec)
    m, pins, control = watch.m, watch.dut.pins, watch.control
    no_token = Signal(init=1)
    with m.If(watch.accept):
        m.d.sync += no_token.eq(0)
    phases = ("reset_k", "reset_v", "score", "activate", "convert")
    on = [getattr(control, name) for name in phases]
    on += [watch.writes.strobe_k, watch.writes.strobe_v, pins.q_pulse.any(), pins.row.any()]
    for pin in (*on, watch.dut.result.valid):
        watch.always(~(no_token & pin), "off after a reset")
    watch.lemma(~no_token | (watch.stage == 0), "no token in flight")
    return watch


STALE, EMPTY, FULL = range(3)


def capacitors_in_order(design: Design, spec: HardwareSpec) -> Monitor:
    """Follow the two capacitors of a K column and those of a V column through their states."""
    watch = HeadMonitor(design, spec)
    _capacitors(watch, ("reset_k", "score", "activate"))
    _capacitors(watch, ("reset_v", "activate", "convert"))
    return watch


def _capacitors(watch: HeadMonitor, phases: tuple[str, str, str]) -> None:
    """Watch those that the first phase discharges, the second charges and the third converts."""
    m, control = watch.m, watch.control
    reset, charge, convert = (getattr(control, name) for name in phases)
    charge_bank, convert_bank = (getattr(control, f"{name}_bank") for name in phases[1:])
    charged, converted = watch.past(charge, "charge"), watch.past(convert, "convert")
    past_bank = watch.past(convert_bank, "bank")
    over = converted & ~convert  # the conversion ended with the cycle before
    states = []
    for bank in range(2):
        here, there = charge_bank == bank, convert_bank == bank
        state = Signal(range(3), name=f"{phases[1]}_state_{bank}")
        now = Mux(over & (past_bank == bank), STALE, state)
        m.d.sync += state.eq(Mux(here & charge, FULL, Mux(here & reset, EMPTY, now)))
        starts = here & charge & ~charged
        watch.always(~(here & reset) | (now != FULL), "what waits is not discharged")
        watch.always(~(here & reset & charge), "not discharged and charged at once")
        watch.always(~starts | (now == EMPTY), "discharged before it is charged")
        watch.always(~(there & convert) | (now == FULL), "charged before it is converted")
        watch.always(~(here & charge & there & convert), "not charged and converted at once")
        states.append(now)
    _lemmas_of_capacitors(watch, phases, states, charge_bank)


def _lemmas_of_capacitors(watch: HeadMonitor, phases, states, charge_bank) -> None:
    """The states follow from where the tokens are."""
    reset, charge, convert = phases
    next_bank = watch.bank_to_convert(charge, convert)
    empty = watch.any_in(
        lambda t: range(t.intervals[reset].start + 1, t.intervals[charge].start + 1)
    )
    filling = watch.any_in(lambda t: range(t.intervals[charge].start + 1, t.intervals[charge].stop))
    waiting = watch.any_in(lambda t: range(t.intervals[charge].stop, t.intervals[convert].stop))
    for bank, state in enumerate(states):
        charging, converting = charge_bank == bank, next_bank == bank
        watch.lemma(~(empty & charging) | (state == EMPTY), "discharged")
        full = (filling & charging) | (waiting & converting)
        watch.lemma((state == FULL) == full, "full from its charge to its conversion")


PROPERTIES = [
    head_property(
        name="one-strobe-at-a-time",
        statement="The K and the V arrays are never written at once.",
        watch=one_strobe,
        broken=Patch(
            "timeline",
            '"strobe_k": range(write_k.start + guard, write_k.stop - guard)',
            '"strobe_k": range(write_k.start + guard, write_v.stop - guard)',
            "the key's strobe ends with the value's",
        ),
        caught_within=30,
    ),
    head_property(
        name="no-write-while-read",
        statement="No slot of an array is written while pulses or a phase read that array.",
        watch=no_write_while_read,
        broken=Patch(
            "timeline",
            '"strobe_v": range(write_v.start + guard, write_v.stop - guard)',
            '"strobe_v": range(write_v.start + guard, write_v.stop + 2 * guard)',
            "the value's strobe lasts into the activation",
        ),
        caught_within=50,
    ),
    head_property(
        name="dac-stable-around-strobe",
        statement="DAC code and slot stay from the cycle before a strobe to that after it.",
        watch=dac_is_stable,
        broken=Patch(
            "timeline",
            '"write_v": write_v',
            '"write_v": range(write_v.start + guard, write_v.stop)',
            "the DACs switch to the value when its strobe begins",
        ),
        caught_within=30,
    ),
    head_property(
        name="pulses-in-their-phase",
        statement="Query pulses are high in `score` only, V rows in `activate` only.",
        watch=pulses_in_phase,
        broken=Patch(
            "activation", "Mux(self.activate, self.valid, 0)", "self.valid", "the gates never close"
        ),
        caught_within=70,
    ),
    head_property(
        name="capacitors-in-order",
        statement="Each capacitor is discharged, then integrated on, then converted, never two of "
        "these at once and never out of order.",
        watch=capacitors_in_order,
        broken=Patch(
            "control",
            "(pins.activate_bank, active.activate_end)",
            "(pins.activate_bank, active.score_end)",
            "the activation takes the other capacitor when the score ends",
        ),
        caught_within=70,
    ),
    head_property(
        name="off-after-reset",
        statement="From a reset to the first token no strobe, phase, pulse or result is on.",
        watch=off_after_reset,
        broken=Patch(
            "sequencer",
            "stage = Signal(self._stages)",
            "stage = Signal(self._stages, reset_less=True)",
            "tokens outlive a reset",
        ),
        caught_within=70,
    ),
]
