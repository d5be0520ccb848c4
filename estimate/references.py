"""The tables that ship with the estimate, as they are."""

from estimate.quantities import Table, load_table, preset_path

__all__ = ["CIRCUITS", "PUBLISHED"]

CIRCUITS: Table = load_table(preset_path("circuits"))
"""Parameters of the circuits; `calibration.calibrated` solves those that the paper decides."""
PUBLISHED: Table = load_table(preset_path("published"))
"""Figures of Leroux et al. 2025."""
