"""Co-simulated heads answer as the golden ones do, token by token."""

import numpy as np
import pytest

from analog_models.errors import CodeError
from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.heads import Feed, GoldenHeads, SimulatedHeads
from cosim.runner import build
from ml.hardware_attention import SIGNALS
from tests.codesign.conftest import TINY, tiny_model


def stretch(spec, tokens, seed):
    """Random codes q, k, v [head, token, d] of two heads."""
    rng = np.random.default_rng(seed)
    shape = (2, tokens, spec.geometry.head_dim)
    levels = (spec.levels.q, spec.levels.kv, spec.levels.kv)
    return [rng.integers(0, n, shape, dtype=np.uint8) for n in levels]


def test_a_job_flushes_at_the_start_only(feed, spec):
    q, k, v = (codes[0] for codes in stretch(spec, 3, 0))
    first, later = feed.job(1, 0, 0, q, k, v), feed.job(1, 0, 9, q, k, v)
    assert first.flush.tolist() == [1, 0, 0] and later.flush.tolist() == [0, 0, 0]
    assert first.schedule.tolist() == [spec.schedule_number("pipelined")] * 3
    first.check(spec)


def test_waits_differ_from_place_to_place_but_not_from_run_to_run(spec):
    feed = Feed(spec, "leroux2025", max_wait=1000, seed=1)
    codes = [signal[0] for signal in stretch(spec, 9, 0)]
    gaps = {place: feed.job(*place, *codes).gaps.tolist() for place in ((0, 1, 4), (1, 0, 4))}
    assert gaps[0, 1, 4] != gaps[1, 0, 4]
    assert gaps[0, 1, 4] == feed.job(0, 1, 4, *codes).gaps.tolist()
    other = Feed(spec, "leroux2025", max_wait=1000, seed=2)
    assert gaps[0, 1, 4] != other.job(0, 1, 4, *codes).gaps.tolist()


def test_golden_heads_start_anew_at_position_0(feed, spec):
    heads = GoldenHeads(feed, layers=1, heads=2)
    codes = stretch(spec, 5, 1)
    first = heads.attend(0, 0, *codes)
    assert not np.array_equal(heads.attend(0, 5, *codes), first)
    assert np.array_equal(heads.attend(0, 0, *codes), first)


def test_a_text_is_that_of_golden_heads(spec, feed, ids):
    loops, texts, told = [], [], []
    with SimulatedHeads(build(spec), feed, TINY.layers, TINY.heads, told.append) as simulated:
        for heads in (simulated, GoldenHeads(feed, TINY.layers, TINY.heads)):
            loops.append(ClosedLoop(tiny_model(spec), heads))
            texts.append([*generate(loops[-1].predict, ids[:8], 6, Sampler(1.0))])
        with pytest.raises(CodeError, match=r"^q\["):
            simulated.attend(0, 13, *(codes + 8 for codes in stretch(spec, 1, 0)))
        measured = simulated.measured()
    assert texts[0] == texts[1]
    for name in SIGNALS:
        got, expected = (getattr(loop.codes, name) for loop in loops)
        assert got.shape == (2, 2, 8 + 6 - 1, 16) and (got == expected).all(), name
    schedule = spec.schedules["pipelined"]
    assert measured["head_tokens"] == told[-1] == 4 * 13
    assert measured["cycles_per_token_range"] == [schedule.latency] * 2
    assert measured["cycles_between_tokens"] == schedule.period
