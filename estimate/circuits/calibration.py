"""Parameters that are solved from published figures, so that a new measurement moves them along.

Only one: the charge of a cell, from the energy of the first product.
"""

from analog_models.spec import load_preset
from estimate.head import Head
from estimate.measured import Measured
from estimate.quantities import Table
from estimate.references import CIRCUITS, PUBLISHED

__all__ = ["calibrated"]

UNKNOWN = "cell.unit_charge_c"


def calibrated(measured: Measured, circuits: Table = CIRCUITS) -> Table:
    """`circuits` with the charge of a cell for which the paper's head gives the paper's energy.

    The energy is linear in the charge, so two of its values give the solution.
    """
    spec = load_preset()

    def first_product_j(charge_c: float) -> float:
        changed = circuits.with_values({UNKNOWN: charge_c})
        head = Head(spec, changed, measured, next(iter(spec.schedules)))
        return head.token_energy(measured.activity).part("first product").value

    one_c = circuits[UNKNOWN]
    slope = first_product_j(2 * one_c) - first_product_j(one_c)
    rest_j = first_product_j(one_c) - slope
    solution_c = (PUBLISHED["head.first_product_j"] - rest_j) / slope * one_c
    figure = circuits.quantities[UNKNOWN].calibrated_on
    return circuits.with_values({UNKNOWN: solution_c}, calibrated_on=figure)
