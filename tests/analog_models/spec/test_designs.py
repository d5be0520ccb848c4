"""Specifications near a given one, and schedules at other lengths."""

import pytest

from analog_models.spec import load_preset
from analog_models.spec.designs import STYLES, PhaseLengths, changed, fitted, with_levels
from common.errors import SpecError

SPEC = load_preset()
LEVELS = SPEC.levels


def test_the_grid_of_charges_gives_way_only_where_it_must():
    spec = load_preset()
    assert changed(spec, levels__q=4).grid == spec.grid
    wide = changed(spec, imperfections__mismatch_offset_v=0.5)
    assert wide.grid.charge_bits < spec.grid.charge_bits


def test_what_no_grid_helps_is_refused():
    with pytest.raises(SpecError, match=r"levels\.q = 1:"):
        changed(load_preset(), levels__q=1)


@pytest.mark.parametrize("name", SPEC.schedules)
def test_the_shipped_schedules_are_of_a_style(name):
    lengths = PhaseLengths.of(SPEC.schedules[name])
    assert SPEC.schedules[name].model_dump() in [style(lengths) for style in STYLES]


@pytest.mark.parametrize("name", SPEC.schedules)
@pytest.mark.parametrize("q_levels", [2, 4, 33, 64])
@pytest.mark.parametrize("out_bits", [1, 3, 5, 6])
def test_other_levels_have_a_schedule_without_hazard(name, q_levels, out_bits):
    schedule = with_levels(SPEC, q_levels, out_bits=out_bits, schedule=name).schedules[name]
    assert len(schedule.phases["score"]) == q_levels - 1
    assert len(schedule.phases["read_out"]) == (1 << out_bits) - 1


def test_more_levels_take_as_many_cycles_more():
    latencies = {
        name: with_levels(SPEC, 24, out_bits=5, schedule=name).schedule.latency
        for name in SPEC.schedules
    }
    assert latencies["leroux2025"] == 65 + 8 + 2 * 16
    assert latencies["overlapped"] == 52 + 8 + 2 * 16


def test_the_pipelined_period_follows_the_longer_pulse():
    def period(**levels):
        return with_levels(SPEC, schedule="pipelined", **levels).schedule.period

    assert period() == 21 and period(q=32) == 37 == period(out_bits=5)
    assert period(q=8) == 21 and period(q=8, out_bits=3) == 13


def test_a_long_count_keeps_clear_of_the_quiet_cycle():
    lengths = PhaseLengths(write=5, reset=5, score=3, activate=3, gap=2, read_out=30)
    tree = STYLES[-1](lengths)
    busy = {cycle % tree["period"] for cycle in range(tree["read_out"][0] - 1, tree["read_out"][1])}
    assert tree["hold"] not in busy and len(busy) == tree["period"] - 1


def test_a_schedule_of_no_style_stays_as_it_is_and_is_refused():
    odd = SPEC.schedules["overlapped"].model_copy(update={"read_out": (38, 53), "period": 55})
    spec = SPEC.replace(schedules={"odd": odd})
    assert fitted(spec, "odd", 31, 15, 15) == odd.model_dump()
    with pytest.raises(SpecError, match="score of length = 15: allowed 31"):
        with_levels(spec, 32, schedule="odd")
    assert with_levels(spec, 32).schedule.phases["score"] == range(15, 46)  # in a row, it fits


def test_no_levels_at_all_are_refused():
    with pytest.raises(SpecError, match=r"^levels\.q = 0:"):
        with_levels(SPEC, q=0)
