"""Gates = numpy: the mapped netlist in the place of the RTL, under the same bench."""

import numpy as np
import pytest

from analog_models.spec import load_preset
from cosim.reference.comparison import compare
from cosim.reference.golden_streams import load_golden
from cosim.run.building import simulate
from cosim.run.stream import replay
from tests.cosim.conftest import expected_codes, random_job, small_spec


@pytest.mark.slow
def test_gates_of_the_full_head_give_the_golden_codes():
    spec = load_preset()
    stream = load_golden(spec).wrap_stream(4)
    done = replay(spec, [stream], ["pipelined"], "icarus", 1, gates=True, max_stall=20)
    assert not done.mismatches, done.runs[0].first


def test_gates_of_a_small_head_follow_every_schedule_under_back_pressure():
    spec = small_spec()
    job = random_job(spec, 90, 5, 0.1, max_gap=30, max_stall=30)
    job.schedule[:] = np.arange(90) // 10 % 3
    job.query_only[:] = np.random.default_rng(5).random(90) < 0.3
    outcome = simulate(spec, job, gates=True)
    wrong, first = compare(spec, job, ["0"] * 90, expected_codes(spec, job), outcome)
    assert not wrong, first
