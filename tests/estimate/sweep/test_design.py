"""Designs and their specifications."""

from typing import Any

import pytest

from analog_models.spec import load_preset
from common.errors import SpecError
from estimate.sweep.design import Axes, default_axes, design_of, spec_of

SPEC = load_preset()
HERE = design_of(SPEC)


def test_the_specification_is_among_its_default_designs():
    designs = list(default_axes(SPEC).designs())
    assert HERE in designs and len(set(designs)) == len(designs)
    same = spec_of(SPEC, HERE)
    assert same.codes_hash == SPEC.codes_hash and same.schedule == SPEC.schedule


def test_values_given_twice_are_one():
    twice: list[Any] = [[value, value] for value in HERE]
    assert list(Axes(*twice).designs()) == [HERE]


def test_every_field_reaches_the_specification():
    design = HERE._replace(
        subtile=32, window=96, q_levels=8, kv_levels=4, out_bits=5, phi_step_ps=500, leakage=0.01
    )
    spec = spec_of(SPEC, design)
    assert design_of(spec) == design
    assert spec.geometry.subtiles == 3
    assert spec.converter.t_max_ps == 31_000  # as long as the largest count
    assert spec.converter.s_sat == SPEC.converter.s_sat


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"window": 96}, r"window = 96: no multiple of subtile = 64"),
        ({"q_levels": 1}, r"levels\.q = 1: "),
        ({"kv_levels": 300}, r"levels\.kv = 300: "),
        ({"out_bits": 9}, r"levels\.out_magnitude_bits = 9: "),
        ({"phi_step_ps": 501}, r"grid\.t_ps = 501: allowed 1 to 500"),
        ({"leakage": 2.0}, r"leakage\.decay_per_token = 2.0: "),
        ({"window": 131072}, r"allowed 2 to 65536, slots of a window"),
        ({"schedule": "fast"}, r"no schedule 'fast': there are leroux2025"),
    ],
)
def test_an_impossible_design_is_refused_with_the_reason(changes, why):
    with pytest.raises(SpecError, match=why):
        spec_of(SPEC, HERE._replace(**changes))
