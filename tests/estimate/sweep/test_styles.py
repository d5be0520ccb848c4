"""Schedules at other lengths."""

import pytest

from analog_models.spec import load_preset
from common.errors import SpecError
from estimate.sweep import styles
from estimate.sweep.design import design_of, spec_of
from estimate.sweep.styles import fitted

SPEC = load_preset()
LEVELS = SPEC.levels


@pytest.mark.parametrize("name", SPEC.schedules)
def test_the_shipped_schedules_are_of_a_style(name):
    lengths = styles._Lengths.of(SPEC.schedules[name])
    made = [s(lengths) for s in (styles._sequential, styles._overlapped, styles._pipelined)]
    assert SPEC.schedules[name].model_dump() in made


@pytest.mark.parametrize("name", SPEC.schedules)
@pytest.mark.parametrize("q_levels", [2, 4, 33, 64])
@pytest.mark.parametrize("out_bits", [1, 3, 5, 6])
def test_other_levels_have_a_schedule_without_hazard(name, q_levels, out_bits):
    design = design_of(SPEC)._replace(schedule=name, q_levels=q_levels, out_bits=out_bits)
    schedule = spec_of(SPEC, design).schedules[name]
    assert len(schedule.phases["score"]) == q_levels - 1
    assert len(schedule.phases["read_out"]) == (1 << out_bits) - 1


def test_more_levels_take_as_many_cycles_more():
    design = design_of(SPEC)._replace(q_levels=24, out_bits=5)
    latencies = {
        name: spec_of(SPEC, design._replace(schedule=name)).schedule.latency
        for name in SPEC.schedules
    }
    assert latencies["leroux2025"] == 65 + 8 + 2 * 16
    assert latencies["overlapped"] == 52 + 8 + 2 * 16


def test_the_pipelined_period_follows_the_longer_pulse():
    def period(**changes):
        design = design_of(SPEC)._replace(schedule="pipelined", **changes)
        return spec_of(SPEC, design).schedule.period

    assert period() == 21 and period(q_levels=32) == 37 == period(out_bits=5)
    assert period(q_levels=8) == 21 and period(q_levels=8, out_bits=3) == 13


def test_a_long_count_keeps_clear_of_the_quiet_cycle():
    lengths = styles._Lengths(write=5, reset=5, score=3, activate=3, gap=2, read_out=30)
    tree = styles._pipelined(lengths)
    busy = {cycle % tree["period"] for cycle in range(tree["read_out"][0] - 1, tree["read_out"][1])}
    assert tree["hold"] not in busy and len(busy) == tree["period"] - 1


def test_a_schedule_of_no_style_stays_as_it_is_and_is_refused():
    odd = SPEC.schedules["overlapped"].model_copy(update={"read_out": (38, 53), "period": 55})
    spec = SPEC.replace(schedules={"odd": odd})
    assert fitted(spec, "odd", 31, 15, 15) == odd.model_dump()
    with pytest.raises(SpecError, match="score of length = 15: allowed 31"):
        spec_of(spec, design_of(spec)._replace(q_levels=32))
