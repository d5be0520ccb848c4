"""Co-simulated heads answer as the golden ones do, token by token."""

from dataclasses import replace

import numpy as np
import pytest

from analog_models.spec import overlaid
from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.heads import GoldenHeads, SimulatedHeads
from common.errors import CodeError, SpecError
from cosim.run.building import build
from ml.small.hardware_attention import SIGNALS
from tests.codesign.conftest import tiny_model


def stretch(spec, tokens, seed):
    """Random codes q, k, v [head, token, d] of two heads."""
    rng = np.random.default_rng(seed)
    shape = (2, tokens, spec.geometry.head_dim)
    levels = (spec.levels.q, spec.levels.kv, spec.levels.kv)
    return [rng.integers(0, n, shape, dtype=np.uint8) for n in levels]


def test_a_job_flushes_at_the_start_only(feed, spec):
    codes = stretch(spec, 3, 0)
    first, later = feed.jobs(1, 0, *codes), feed.jobs(1, 9, *codes)
    assert [job.flush.tolist() for job in (*first, *later)] == [[1, 0, 0]] * 2 + [[0, 0, 0]] * 2
    assert [job.device for job in first] == [2, 3]
    for job in first:
        job.check(spec)
        assert job.schedule.tolist() == [spec.schedule_number("pipelined")] * 3


def test_a_schedule_that_is_not_there_is_named(feed):
    with pytest.raises(SpecError, match="no schedule 'slow'"):
        replace(feed, schedule="slow")


def test_waits_differ_from_place_to_place_but_not_from_run_to_run(feed, spec):
    codes = stretch(spec, 9, 0)

    def gaps(layer, position, seed=1):
        jobs = replace(feed, max_wait=1000, seed=seed).jobs(layer, position, *codes)
        return [tuple(job.gaps) for job in jobs]

    every = [*gaps(0, 0), *gaps(0, 9), *gaps(1, 0), *gaps(0, 0, seed=2)]
    assert len(set(every)) == len(every) and gaps(0, 9) == every[2:4]


def written_by(feed):
    return ClosedLoop(tiny_model(feed.spec), GoldenHeads(feed))


def test_golden_heads_start_anew_at_position_0(feed, spec):
    heads = GoldenHeads(feed)
    codes = stretch(spec, 5, 1)
    first = heads.attend(0, 0, *codes)
    assert not np.array_equal(heads.attend(0, 5, *codes), first)
    assert np.array_equal(heads.attend(0, 0, *codes), first)


def test_a_text_is_that_of_golden_heads_with_the_same_imperfections(spec, feed, ids):
    ideal = [*generate(written_by(feed).predict, ids[:8], 6, Sampler(1.0))]
    spec = overlaid(spec, "typical")
    feed = replace(feed, spec=spec, seed=2)
    loops, texts, told = [], [], []
    with SimulatedHeads(build(spec), feed, told.append) as simulated:
        for heads in (simulated, GoldenHeads(feed)):
            loops.append(ClosedLoop(tiny_model(spec), heads))
            texts.append([*generate(loops[-1].predict, ids[:8], 6, Sampler(1.0))])
        with pytest.raises(CodeError, match=r"^q\["):
            simulated.attend(0, 13, *(codes + 8 for codes in stretch(spec, 1, 0)))
        measured = simulated.measured()
    assert texts[0] == texts[1] != ideal
    for name in SIGNALS:
        got, expected = (getattr(loop.codes, name) for loop in loops)
        assert got.shape == (2, 2, 8 + 6 - 1, 16) and (got == expected).all(), name
    schedule = spec.schedules["pipelined"]
    assert measured["head_tokens"] == told[-1] == 4 * 13
    assert measured["cycles_per_token_range"] == [schedule.latency] * 2
    assert measured["cycles_between_tokens"] == schedule.period
