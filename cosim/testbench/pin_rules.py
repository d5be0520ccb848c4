"""The rules that `pin_rules.v` watches: their numbers come from the specification."""

from analog_models.spec import HardwareSpec
from common.errors import GaincellError

__all__ = ["INCLUDED", "RULES", "check_pins", "rule_numbers"]

INCLUDED = "pin_rules.vh"
"""The file that `pin_rules.v` includes; `rule_numbers` is what it holds."""

RULES = (
    "K and V are written at once",
    "the DACs move in a strobe or in its guard cycles",
    "a strobe of a wrong length",
    "an array is written while it is read",
    "a K capacitor is discharged while it is in use",
    "a V capacitor is discharged while it is in use",
    "a capacitor is discharged too shortly",
    "a phase of a wrong length",
    "another capacitor is chosen in a phase",
    "output pulses start before the charge has settled",
)


def rule_numbers(spec: HardwareSpec) -> str:
    """Verilog constants, in cycles, of every name that `pin_rules.v` uses."""
    timing = spec.timing
    phases = [schedule.phases for schedule in spec.schedules.values()]
    lengths = {name: [len(p[name]) for p in phases] for name in phases[0]}
    scores, activations = lengths["score"], lengths["activate"]
    writes = lengths["write_k"] + lengths["write_v"]
    numbers = {
        "STROBE_LEAST": min(writes) - 2 * timing.dac_guard,
        "STROBE_MOST": max(writes) - 2 * timing.dac_guard,
        "DAC_GUARD": timing.dac_guard,
        "RESET": timing.reset,
        "SETTLE": timing.settle,
        "SCORE_LEAST": min(scores),
        "SCORE_MOST": max(scores),
        "ACTIVATE_LEAST": min(activations),
        "ACTIVATE_MOST": max(activations),
        "COUNT": spec.levels.count_max,
    }
    return "".join(f"localparam integer {name} = {n};\n" for name, n in numbers.items())


def check_pins(broken: int) -> None:
    """Raise `GaincellError` that names the rules whose bits are set."""
    names = [rule for bit, rule in enumerate(RULES) if broken >> bit & 1]
    if names:
        raise GaincellError(f"pins: {'; '.join(names)}")
