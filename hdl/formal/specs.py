"""The size that properties are proved at."""

from analog_models.spec import HardwareSpec, load_preset

__all__ = ["FEW_SLOTS"]

FEW_SLOTS: HardwareSpec = load_preset().replace(
    name="few-slots", geometry__head_dim=2, geometry__subtile=3, geometry__subtiles=2
)
"""Levels and schedules of the preset, in a window of 6 slots, which is no power of two."""
