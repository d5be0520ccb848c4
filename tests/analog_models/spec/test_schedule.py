import pytest

from analog_models.spec import Schedule, load_preset
from common.errors import SpecError


@pytest.fixture
def spec():
    return load_preset()


def test_latencies_and_periods(spec):
    cycles = {name: (s.latency, s.period, s.stages) for name, s in spec.schedules.items()}
    assert cycles["leroux2025"] == (65, 65, 1)
    assert cycles["overlapped"] == (52, 52, 1)
    assert cycles["pipelined"] == (58, 21, 3)


def test_the_published_schedule_is_one_phase_after_the_other(spec):
    lengths = {"write": 5, "reset": 5, "score": 15, "activate": 15, "settle": 5, "read_out": 15}
    assert spec.schedules["leroux2025"] == Schedule.sequential(**lengths)


def test_a_further_query_skips_leading_writes(spec):
    repeats = {name: schedule.repeat for name, schedule in spec.schedules.items()}
    assert repeats == {"leroux2025": 10, "overlapped": 0, "pipelined": 0}


HAZARDS = [
    # lengths
    ("overlapped", {"write_k": (0, 4)}, "write_k of length = 4: allowed 5 to 4096, to fit a guard"),
    ("overlapped", {"score": (5, 19)}, "score of length = 14: allowed 15 to 4096, to fit a query"),
    ("overlapped", {"activate": (35, 20)}, "activate of length = -15: allowed 15 to 4096, to fit"),
    ("overlapped", {"reset_v": (0, 4)}, "reset_v of length = 4: allowed 5 to 4096, timing.reset"),
    # a token's own order
    ("overlapped", {"write_v": (4, 9)}, "write_v start = 4: allowed 5 to 4096, K and V share"),
    ("overlapped", {"score": (4, 20)}, "score start = 4: allowed 5 to 4096, the K capacitor must"),
    (
        "overlapped",
        {"reset_k": (0, 5), "write_k": (2, 7), "write_v": (7, 12)},
        "score start = 5: allowed 6 to 4096, the token's key must be in the K array",
    ),
    (
        "overlapped",
        {"write_v": (17, 22)},
        "activate start = 20: allowed 21 to 4096, the token's value must be in the V array",
    ),
    ("overlapped", {"reset_v": (16, 21)}, "activate start = 20: allowed 21 to 4096, the V capac"),
    ("overlapped", {"activate": (19, 35)}, "activate start = 19: allowed 20 to 4096, the score"),
    ("overlapped", {"read_out": (36, 51)}, "read_out start = 36: allowed 37 to 4096, timing.sett"),
    # the token behind
    ("overlapped", {"period": 18}, "score stop = 20: allowed 1 to 18, period: the query's"),
    ("pipelined", {"period": 20}, "activate start = 21: allowed 1 to 20, period: the mask"),
    (
        "pipelined",
        {"write_v": (13, 18)},
        "write_v start = 13: allowed 14 to 4096, the V array is read during activate",
    ),
    ("pipelined", {"reset_v": (14, 19)}, "reset_v start = 14: allowed 15 to 4096, a capacitor is"),
    ("pipelined", {"reset_v": (15, 20)}, "reset_v start = 15: allowed 16 to 4096, the V capacit"),
    ("pipelined", {"capacitors": 1}, "reset_k start = 0: allowed 15 to 4096, the K capacitor"),
    # waiting
    ("overlapped", {"hold": 4}, "hold = 4: a wait would stretch score"),
    ("overlapped", {"hold": 2}, "hold = 2: a wait would stretch the strobe of write_k"),
    ("pipelined", {"hold": 18}, "hold = 18: a wait would stretch the strobe of write_v"),
    ("leroux2025", {"hold": 0}, "hold = 0: allowed 10 to 64, a cycle that every query passes"),
    (
        "pipelined",
        {"read_out": (42, 57)},
        "hold (next one) = 62: allowed 57 to 61, before the next result is counted",
    ),
]


@pytest.mark.parametrize(("name", "changes", "reason"), HAZARDS)
def test_a_hazard_is_refused_with_the_reason(spec, name, changes, reason):
    with pytest.raises(SpecError) as error:
        spec.replace(**{f"schedules__{name}__{field}": v for field, v in changes.items()})
    assert f"schedules.{name}.{reason}" in str(error.value)
    assert "\n" not in str(error.value)
