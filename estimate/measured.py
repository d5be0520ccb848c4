"""What was measured on the RTL: cycles, gates, and how busy the signals are on real text.

`measured.json` ships with the estimate and is made anew by `python -m estimate.measure`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from analog_models.spec import HardwareSpec, load_preset
from common.errors import SpecError
from common.files import read_json
from estimate.errors import EstimateError
from estimate.measured_file import MeasuredFile

__all__ = ["MEASURED", "Activity", "Measured", "load_measured", "shape_of"]

MEASURED = Path(str(resources.files("estimate") / "measured.json"))

Activity = Mapping[str, float]
"""How busy the signals are, by the names of `cosim.activity.head_activity`."""


@dataclass(frozen=True)
class Measured:
    """Everything measured, of one specification.

    spec: that specification. cycles: by schedule, `latency` of a token, `between` tokens.
    synthesis: what `hdl.synth` wrote, by library. activity: of the mean head, and of the heads
    with least and most of each. sources: provenance of each part.
    """

    spec: HardwareSpec
    cycles: Mapping[str, Mapping[str, int]]
    synthesis: Mapping[str, Mapping[str, Any]]
    activity: Activity
    activity_range: Mapping[str, tuple[float, float]]
    sources: Mapping[str, Any]

    def cycles_of(self, spec: HardwareSpec, schedule: str) -> Mapping[str, int] | None:
        """Cycles that the RTL took in a schedule; None if `spec` has another of that name."""
        same = self.spec.schedules.get(schedule) == spec.schedules[schedule]
        return self.cycles.get(schedule) if same else None


def shape_of(spec: HardwareSpec) -> dict[str, Any]:
    """The part of a specification that cycles and gates depend on."""
    return spec.model_dump(mode="json", include={"geometry", "levels", "timing", "schedules"})


def load_measured(path: Path = MEASURED) -> Measured:
    """Read what was measured.

    Raises `ArtefactError` if the file is missing, has not all parts, or a value that is not
    allowed, `EstimateError` if it was measured on another shape of the preset.
    """
    tree = read_json(path)
    file = MeasuredFile.of(tree, path)
    try:
        spec = load_preset(file.spec.name)
    except SpecError as error:
        raise EstimateError(f"{path}: {error}") from error
    if file.spec.shape != shape_of(spec):
        raise EstimateError(
            f"{path}: measured on another {spec.name}; measure again with `make measure`"
        )
    return Measured(
        spec,
        tree["cycles"],
        tree["synthesis"],
        {name: of.mean for name, of in file.activity.items()},
        {name: (of.lowest, of.highest) for name, of in file.activity.items()},
        tree["sources"],
    )
