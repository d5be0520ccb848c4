import numpy as np
import pytest

from analog_models.head import GoldenHead
from cosim.activity import head_activity, stream_activity
from cosim.reference.golden_streams import load_golden
from tests.cosim.conftest import small_spec


def run(spec, q, k, v):
    head = GoldenHead(spec)
    return head_activity(spec, q, k, v, [head.step(*token) for token in zip(q, k, v, strict=True)])


def test_signals_of_one_level_have_its_activity():
    spec = small_spec()
    tokens, dim = spec.geometry.window, spec.geometry.head_dim
    q, top = np.full((tokens, dim), 15), np.full((tokens, dim), spec.levels.kv_max)
    found = run(spec, q, top, top)
    full = sum(c * 0.45**i for i, c in enumerate(spec.cell.polynomial))
    assert found["query_duty"] == found["query_pulses"] == 1
    assert found["score_moved"] == pytest.approx(full)
    assert found["phi_duty"] == found["phi_pulses"] == 1  # S is far above saturation
    assert found["row_moved"] == pytest.approx(full)
    assert found["out_duty"] == found["out_pulses"] == 1 and found["sign_changes"] == 0
    assert found["write_step"] == 0


def test_silence_has_none():
    spec = small_spec()
    shape = (spec.geometry.subtile + 1, spec.geometry.head_dim)
    low = np.zeros(shape, dtype=int)
    found = run(spec, low, low, low + spec.levels.kv_max)
    assert found["query_duty"] == found["phi_duty"] == found["row_moved"] == found["out_duty"] == 0
    assert found["write_step"] == 1  # keys at the lowest level, values at the highest


def test_heads_of_the_model_are_told_apart(full):
    stream = load_golden(full).passage_stream(full.geometry.subtile + 1)
    found = stream_activity(full, stream)
    assert len(stream.first) == 16
    for name, of in found.items():
        assert 0 <= of["lowest"] <= of["mean"] <= of["highest"], name
    assert found["phi_duty"]["lowest"] < 0.1 < found["phi_duty"]["highest"]
