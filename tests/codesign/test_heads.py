"""Co-simulated heads answer as the golden ones do, token by token."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analog_models.spec import overlaid
from codesign.checks import against_all_at_once
from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.heads import GoldenHeads, SimulatedHeads
from common.errors import CodeError, SpecError
from cosim.run.building import build
from ml.attention.backend import SIGNALS
from ml.attention.exact import exact_attention
from tests.codesign.conftest import GROUP, HEADS, PER_TOKEN, feed_of, tiny_model


def stretch(spec, tokens, seed):
    """Random codes q [Hq, token, d], k and v [Hkv, token, d]."""
    rng, dim = np.random.default_rng(seed), spec.geometry.head_dim
    kinds = ((HEADS * GROUP, spec.levels.q), (HEADS, spec.levels.kv), (HEADS, spec.levels.kv))
    return [rng.integers(0, n, (heads, tokens, dim), dtype=np.uint8) for heads, n in kinds]


def test_a_job_flushes_at_the_start_only(feed, spec):
    codes = stretch(spec, 3, 0)
    first, later = feed.jobs(1, 0, *codes), feed.jobs(1, 9, *codes)
    flushes = [[1, 0, 0, 0, 0, 0]] * 2 + [[0] * 6] * 2
    assert [job.flush.tolist() for job in (*first, *later)] == flushes
    assert [job.device for job in first] == [2, 3]
    for job in first:
        job.check(spec)
        assert job.schedule.tolist() == [spec.schedule_number("pipelined")] * 6


def test_query_heads_of_a_group_ask_in_turn(feed, spec):
    q, k, v = stretch(spec, 3, 0)
    for head, job in enumerate(feed.jobs(0, 0, q, k, v)):
        assert job.query_only.tolist() == [0, 1] * 3
        for place in range(6):
            token, member = divmod(place, GROUP)
            assert (job.q[place] == q[head * GROUP + member, token]).all()
            assert (job.k[place] == k[head, token]).all() and (job.v[place] == v[head, token]).all()
    jobs = feed.jobs(0, 0, q, k, v)
    assert np.array_equal(feed.by_query_head([job.q for job in jobs]), q)


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


def test_golden_heads_are_the_definition(feed, spec):
    """Grouped queries on shared arrays, in two calls, wrapping round the window."""
    codes = stretch(spec, 40, 4)
    heads = GoldenHeads(feed)
    parts = [heads.attend(1, a, *(x[:, a:b] for x in codes)) for a, b in ((0, 25), (25, 40))]
    q, k, v = (torch.from_numpy(x).double() for x in codes)
    expected = exact_attention(spec, q[None], k[None], v[None])[0]
    assert np.array_equal(np.concatenate(parts, axis=1), expected.numpy())


def test_golden_heads_start_anew_at_position_0(feed, spec):
    heads = GoldenHeads(feed)
    codes = stretch(spec, 5, 1)
    first = heads.attend(0, 0, *codes)
    assert not np.array_equal(heads.attend(0, 5, *codes), first)
    assert np.array_equal(heads.attend(0, 0, *codes), first)


def test_a_text_is_that_of_golden_heads_with_the_same_imperfections(spec, model, feed, ids):
    ideal = [*generate(ClosedLoop(model, GoldenHeads(feed)).predict, ids[:8], 6, Sampler(1.0))]
    spec = overlaid(spec, "typical")
    feed = replace(feed, spec=spec, seed=2)
    loops, texts, told, started = [], [], [], []
    with SimulatedHeads(build(spec), feed, told.append, started.append) as simulated:
        for heads in (simulated, GoldenHeads(feed)):
            loops.append(ClosedLoop(model, heads))
            texts.append([*generate(loops[-1].predict, ids[:8], 6, Sampler(1.0))])
        with pytest.raises(CodeError, match=r"^q\["):
            simulated.attend(0, 13, *(codes + 8 for codes in stretch(spec, 1, 0)))
        measured = simulated.measured()
    assert texts[0] == texts[1] != ideal and started == [1, 2, 3, 4]
    for name in SIGNALS:
        got, expected = (getattr(loop.codes, name) for loop in loops)
        assert got.shape[::2] == (2, 8 + 6 - 1) and (got == expected).all(), name
    assert sum(x.numel() for x in loops[0].codes) == PER_TOKEN * 13
    schedule = spec.schedules["pipelined"]
    assert measured["head_tokens"] == told[-1] == 2 * HEADS * GROUP * 13
    assert measured["cycles_per_token_range"][1] == schedule.latency
    assert measured["cycles_between_tokens"] <= schedule.period


@pytest.mark.parametrize("group", [1, 2])
def test_ideal_hardware_writes_the_text_of_torch(spec, ids, group):
    """A model with a query head for each key and value head, and one with grouped queries."""
    model, feed = tiny_model(spec, "llama" if group == 2 else "gpt2"), feed_of(spec, group)
    with SimulatedHeads(build(spec), feed) as simulated:
        loop = ClosedLoop(model, simulated)
        added = [*generate(loop.predict, ids[:6], 4, Sampler())]
    text = torch.cat([ids[:6], torch.tensor(added)])
    check = against_all_at_once(model, text, 6, loop.codes, Sampler())
    assert check.equal and check.codes == 2 * 16 * 2 * (HEADS + HEADS * group) * 9
