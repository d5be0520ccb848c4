"""Specifications near a given one."""

import pytest

from analog_models.spec import load_preset
from analog_models.spec.designs import changed
from common.errors import SpecError


def test_the_grid_of_charges_gives_way_only_where_it_must():
    spec = load_preset()
    assert changed(spec, levels__q=4).grid == spec.grid
    wide = changed(spec, imperfections__mismatch_offset_v=0.5)
    assert wide.grid.charge_bits < spec.grid.charge_bits


def test_what_no_grid_helps_is_refused():
    with pytest.raises(SpecError, match=r"levels\.q = 1:"):
        changed(load_preset(), levels__q=1)
