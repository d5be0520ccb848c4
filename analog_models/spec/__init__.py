"""The hardware specification: geometry, levels, timing and physics, each constant once."""

from analog_models.spec.groups import Cell, Clock, Converter, Geometry, Grid, Leakage, Levels
from analog_models.spec.imperfections import Imperfections
from analog_models.spec.schedule import Schedule, Timing
from analog_models.spec.specification import (
    DEFAULT_PRESET,
    HardwareSpec,
    find_spec,
    load_preset,
    load_spec,
    overlaid,
    overlay_names,
    parse_spec,
    preset_names,
)

__all__ = [
    "DEFAULT_PRESET",
    "Cell",
    "Clock",
    "Converter",
    "Geometry",
    "Grid",
    "HardwareSpec",
    "Imperfections",
    "Leakage",
    "Levels",
    "Schedule",
    "Timing",
    "find_spec",
    "load_preset",
    "load_spec",
    "overlaid",
    "overlay_names",
    "parse_spec",
    "preset_names",
]
