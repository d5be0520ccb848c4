"""The golden head against a naive model in plain Python, and against the parallel form."""

import math

import numpy as np
import pytest

from analog_models.attend import causal_attention
from analog_models.head import GoldenHead
from analog_models.spec import load_preset
from common.errors import CodeError

SMALL = load_preset().replace(
    name="small",
    geometry__head_dim=5,
    geometry__subtile=4,
    geometry__subtiles=3,
    converter__s_sat=6.0,
    converter__a_sat=3.0,
    leakage__decay_per_token=0.01,
)


def tokens(rng, count, spec=SMALL):
    dim = spec.geometry.head_dim
    shape = (count, dim)
    return rng.integers(0, 16, shape), rng.integers(0, 8, shape), rng.integers(0, 8, shape)


def charge(code, age):
    x = (code * 0.9 / 7 - 0.45) * math.exp(-0.01 * age)
    return sum(c * x**i for i, c in enumerate(SMALL.cell.polynomial))


def naive(history, now, length):
    """Output of the token `now` from [(q, k, v)], slot by slot and sub-tile by sub-tile."""
    q = history[now][0]
    dim, rows = SMALL.geometry.head_dim, SMALL.geometry.subtile
    totals = np.zeros((SMALL.geometry.subtiles, dim))
    for written in range(max(0, now - length + 1), now + 1):
        _, k, v = history[written]
        age = now - written
        score = sum(q[d] / 15 * charge(k[d], age) for d in range(dim))
        phi = 15 * min(max(score / 6.0, 0), 1)
        for d in range(dim):
            totals[written % length // rows, d] += phi * charge(v[d], age)
    widths = np.minimum(np.abs(totals) / 3.0, 15)
    nearest = np.floor(widths + 0.5)
    decided = np.abs(widths + 0.5 - np.round(widths + 0.5)) > 1e-2
    return (np.sign(totals) * nearest).sum(0), decided.all(0)


@pytest.mark.parametrize("length", [12, 7, 1])
def test_equals_a_naive_model_through_wraps(length):
    rng = np.random.default_rng(length)
    q, k, v = tokens(rng, 40)
    head = GoldenHead(SMALL, window_length=length)
    history, compared = list(zip(q, k, v, strict=True)), 0
    for now, token in enumerate(history):
        out = head.step(*token).out
        expected, decided = naive(history, now, length)
        assert np.array_equal(out[decided], expected[decided]), f"token {now}"
        compared += decided.sum()
    assert compared > 100


def test_the_parallel_form_equals_the_stream():
    rng = np.random.default_rng(1)
    q, k, v = tokens(rng, 12)
    stream = GoldenHead(SMALL).run(q, k, v)
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    parallel = causal_attention(SMALL, q, k, v)
    assert np.array_equal(stream, parallel)


def test_torch_streams_the_same_codes_through_wraps():
    torch = pytest.importorskip("torch")
    q, k, v = tokens(np.random.default_rng(2), 40)
    expected = GoldenHead(SMALL).run(q, k, v)
    got = GoldenHead(SMALL, xp=torch).run(*(torch.from_numpy(x) for x in (q, k, v)))
    assert np.array_equal(got.numpy(), expected)


def test_a_flush_forgets():
    q, k, v = tokens(np.random.default_rng(3), 30)
    fresh = GoldenHead(SMALL).run(q[20:], k[20:], v[20:])
    head = GoldenHead(SMALL)
    head.run(q[:20], k[:20], v[:20])
    head.flush()
    assert np.array_equal(head.run(q[20:], k[20:], v[20:]), fresh)


def test_slots_never_written_contribute_nothing():
    """f(0) is not 0: without the mask, eleven empty slots would add their charge."""
    head = GoldenHead(SMALL)
    q, k, v = tokens(np.random.default_rng(4), 1)
    trace = head.step(q[0], k[0], v[0])
    assert (trace.score[1:] > 0).all() and (trace.phi_ps[1:] == 0).all()
    assert (trace.counts[1:] == 0).all()


def test_the_stored_voltage_decays_to_the_asymptote():
    head = GoldenHead(SMALL)
    zeros = np.zeros(5, dtype=int)
    head.step(zeros, zeros, np.full(5, 7))
    assert head.v_array.v_stored(0, 0) == pytest.approx(np.full(5, 0.9))
    assert head.v_array.v_stored(0, 10) == pytest.approx(np.full(5, 0.45 + 0.45 * math.exp(-0.1)))


def test_bad_input_is_named():
    zeros = np.zeros(5, dtype=int)
    with pytest.raises(CodeError, match="window_length = 13: allowed 1 to 12"):
        GoldenHead(SMALL, window_length=13)
    with pytest.raises(CodeError, match=r"v has shape \(4,\): needs \(5,\)"):
        GoldenHead(SMALL).step(zeros, zeros, zeros[:4])
    with pytest.raises(CodeError, match=r"q\[0\] = 16: allowed whole numbers 0 to 15"):
        GoldenHead(SMALL).step(zeros + 16, zeros, zeros)


def test_the_charges_of_two_arrays_add_up_to_a_long_head():
    spec = load_preset()
    long = spec.replace(geometry__head_dim=128)
    rng = np.random.default_rng(3)
    q, k, v = (rng.integers(0, n, (20, 128)) for n in (16, 8, 8))
    head, halves = GoldenHead(long), [GoldenHead(spec), GoldenHead(spec)]
    for token in range(20):
        trace = head.step(q[token], k[token], v[token])
        parts = [slice(0, 64), slice(64, 128)]
        scores = [
            half.step(q[token, part], k[token, part], v[token, part]).score
            for half, part in zip(halves, parts, strict=True)
        ]
        assert np.allclose(trace.score, sum(scores), rtol=1e-12)


def test_a_group_of_queries_equals_one_head_for_each():
    spec = SMALL
    rng = np.random.default_rng(4)
    q = rng.integers(0, 16, (3, 12, spec.geometry.head_dim)).astype(float)
    k, v = (rng.integers(0, 8, (12, spec.geometry.head_dim)).astype(float) for _ in range(2))
    head = GoldenHead(spec)
    outs = []
    for token in range(12):
        outs.append(
            [head.step(q[0, token], k[token], v[token]).out]
            + [head.query(q[group, token]).out for group in (1, 2)]
        )
    for group in range(3):
        assert np.array_equal([out[group] for out in outs], causal_attention(spec, q[group], k, v))


def test_a_query_on_an_empty_window_gives_nothing():
    spec = SMALL
    assert not GoldenHead(spec).query(np.full(spec.geometry.head_dim, 15)).out.any()
