"""Specifications near a given one, as a search over designs needs them."""

from typing import Any

from analog_models.spec import HardwareSpec
from common.errors import SpecError

__all__ = ["changed"]

LEAST_CHARGE_BITS = 8


def changed(spec: HardwareSpec, **values: Any) -> HardwareSpec:
    """`spec.replace`, on the finest grid of charges, at most that of `spec`, that stays exact.

    The grid belongs to the arithmetic, not to the hardware. Raises `SpecError` as `replace` does.
    """
    for bits in range(spec.grid.charge_bits, LEAST_CHARGE_BITS, -1):
        try:
            return spec.replace(grid__charge_bits=bits, **values)
        except SpecError as error:
            if "grid.charge_bits" not in str(error):
                raise
    return spec.replace(grid__charge_bits=LEAST_CHARGE_BITS, **values)
