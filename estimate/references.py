"""The tables that ship with the estimate, as they are."""

from estimate.quantities import ShippedTable, Table

__all__ = ["CIRCUITS", "PUBLISHED"]

CIRCUITS: Table = ShippedTable("circuits")
"""Parameters of the circuits; `calibration.calibrated` solves those that the paper decides."""
PUBLISHED: Table = ShippedTable("published")
"""Figures of Leroux et al. 2025."""
