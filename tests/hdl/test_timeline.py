import pytest

from analog_models.spec import load_preset
from hdl.timeline import timelines
from tests.hdl.clocked import small_spec


def test_a_strobe_lies_inside_its_phase_with_the_guard_on_both_sides():
    spec = small_spec(timing__dac_guard=2, timing__strobe=1)
    for schedule, line in zip(spec.schedules.values(), timelines(spec), strict=True):
        for name in ("k", "v"):
            phase, strobe = schedule.phases[f"write_{name}"], line.intervals[f"strobe_{name}"]
            assert strobe == range(phase.start + 2, phase.stop - 2)


@pytest.mark.parametrize("name", ["leroux2025", "overlapped", "pipelined"])
def test_pulses_start_one_cycle_early_because_of_their_registers(name):
    spec = load_preset()
    schedule = spec.schedules[name]
    line = timelines(spec)[spec.schedule_number(name)]
    assert line.intervals["run_pulses"] == range(schedule.score[0] - 1, schedule.score[1] - 1)
    assert line.intervals["convert"] == range(schedule.read_out[0] - 1, schedule.read_out[1] - 1)
    assert line.intervals["clear"].start == line.intervals["convert"].start
    assert line.intervals["capture"].stop == schedule.activate[0] - 1
