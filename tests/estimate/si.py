"""Comparison of quantities in SI units, most of which are far below pytest's absolute tolerance."""

from typing import Any

import pytest

__all__ = ["approx"]


def approx(value: float, rel: float = 1e-6) -> Any:
    """Equal to `value` within a relative error, however small it is."""
    return pytest.approx(value, rel=rel, abs=0)
