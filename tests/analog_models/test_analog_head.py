"""Imperfect heads: token by token, all tokens at once, in numpy and in torch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analog_models.analog_head import AnalogHead
from analog_models.attend import causal_attention
from analog_models.head import GoldenHead
from analog_models.spec import load_preset
from analog_models.variation import head_variation, head_variations
from common.errors import SpecError
from tests.analog_models.imperfect import FIXED, IMPERFECT, SMALL, with_imperfections


def codes(spec, tokens, seed=0, heads=()):
    rng, levels = np.random.default_rng(seed), spec.levels
    shape = (*heads, tokens, spec.geometry.head_dim)
    return [rng.integers(0, n, shape).astype(np.float64) for n in (levels.q, levels.kv, levels.kv)]


def stream(spec, q, k, v, number=0, seed=1, xp=np):
    """Output codes token by token from piece `number` of the hardware."""
    noise = np.random.default_rng(seed)
    analog = AnalogHead(spec, xp, head_variation(spec, number), noise)
    return GoldenHead(spec, xp=xp, analog=analog).run(q, k, v)


def sizes(spec, size):
    """Every imperfection of that size."""
    names = [n for n, v in spec.imperfections.model_dump().items() if isinstance(v, float)]
    return dict.fromkeys([n for n in names if not n.endswith("_k")] + ["read_noise_k"], size)


@pytest.mark.parametrize("spec", [SMALL, load_preset()], ids=lambda spec: spec.name)
def test_vanishing_imperfections_give_the_codes_of_the_ideal_head(spec):
    """Through all the machinery of imperfect cells, converters and noise, bit for bit."""
    barely = with_imperfections(spec, **sizes(spec, 1e-200))
    q, k, v = codes(spec, 12)
    expected = GoldenHead(spec).run(q, k, v)
    assert barely.imperfections.cells_differ and barely.imperfections.noisy
    assert np.array_equal(stream(barely, q, k, v), expected)
    drawn, noise = head_variation(barely, 0), np.random.default_rng(0)
    got = causal_attention(barely, q, k, v, variation=drawn, noise=noise)
    assert np.array_equal(got, expected)


def test_every_imperfection_changes_codes():
    q, k, v = codes(SMALL, 40)
    expected = GoldenHead(SMALL).run(q, k, v)
    values = IMPERFECT.imperfections.model_dump()
    for name in [*sizes(SMALL, 0), "temperature_k"]:
        one = with_imperfections(SMALL, **{name: values[name] * (1 if name[-2:] == "_k" else 10)})
        changed = stream(one, q, k, v)
        assert not np.array_equal(changed, expected), name


fixed = st.fixed_dictionaries(
    {
        "write_error_v": st.floats(-0.05, 0.05),
        "mismatch_gain": st.sampled_from([0.0, 0.1]),
        "mismatch_offset_v": st.sampled_from([0.0, 0.02]),
        "phi_offset": st.sampled_from([0.0, 0.5]),
        "phi_gain": st.sampled_from([0.0, 0.05]),
        "out_offset": st.sampled_from([0.0, 0.5]),
        "out_gain": st.sampled_from([0.0, 0.05]),
        "ir_drop_row": st.floats(0, 0.2),
        "ir_drop_column": st.floats(0, 0.2),
        "stuck_fraction": st.sampled_from([0.0, 0.2]),
        "stuck_level": st.integers(0, 7),
        "temperature_k": st.floats(280, 340),
    }
)


@settings(max_examples=40, deadline=None)
@given(
    values=fixed,
    convention=st.sampled_from(["per_power", "whole_term"]),
    tokens=st.integers(1, 12),
    seed=st.integers(0, 2**32),
)
def test_fixed_errors_give_the_same_codes_in_every_form(values, convention, tokens, seed):
    torch = pytest.importorskip("torch")
    spec = with_imperfections(SMALL, **values).replace(leakage__convention=convention)
    q, k, v = codes(spec, tokens, seed)
    expected = stream(spec, q, k, v, number=seed)
    drawn = head_variation(spec, seed)
    assert np.array_equal(causal_attention(spec, q, k, v, variation=drawn), expected)
    tensors = [torch.from_numpy(x) for x in (q, k, v)]
    theirs = causal_attention(spec, *tensors, variation=drawn.like(tensors[0]))
    assert np.array_equal(theirs.numpy(), expected)


def test_fixed_errors_at_full_size():
    spec = with_imperfections(
        load_preset(), mismatch_gain=0.03, mismatch_offset_v=0.01, out_offset=1.5, phi_gain=0.01
    )
    q, k, v = codes(spec, 70)
    expected = stream(spec, q, k, v)
    drawn = head_variation(spec, 0)
    assert np.array_equal(causal_attention(spec, q, k, v, variation=drawn), expected)
    assert len(np.unique(expected)) > 20


def test_numpy_and_torch_agree_on_the_same_noise():
    torch = pytest.importorskip("torch")
    q, k, v = codes(IMPERFECT, 40)
    tensors = [torch.from_numpy(x) for x in (q, k, v)]
    expected = stream(IMPERFECT, q, k, v)
    assert np.array_equal(stream(IMPERFECT, *tensors, xp=torch).numpy(), expected)
    assert not np.array_equal(stream(IMPERFECT, q, k, v, seed=2), expected)
    drawn = head_variation(IMPERFECT, 0)
    ours, theirs = (
        causal_attention(
            *(IMPERFECT, q[:12], k[:12], v[:12]),
            variation=drawn.like(q),
            noise=np.random.default_rng(3),
        )
        for q, k, v in ((q, k, v), tensors)
    )
    assert np.array_equal(theirs.numpy(), ours)


def test_the_parallel_form_has_the_statistics_of_the_stream():
    """Noise is drawn in another order there: equal are mean and spread of every output code."""
    torch = pytest.importorskip("torch")
    loud = with_imperfections(IMPERFECT, write_noise_v=0.02, read_noise_k=0.5, read_noise_v=0.3)
    q, k, v = codes(loud, 12)
    runs = 250
    one_by_one = np.stack([stream(loud, q, k, v, seed=seed) for seed in range(runs)])
    batch = [torch.from_numpy(x).expand(10 * runs, *x.shape) for x in (q, k, v)]
    drawn = head_variation(loud, 0).like(batch[0])
    noise = torch.Generator().manual_seed(0)
    at_once = causal_attention(loud, *batch, variation=drawn, noise=noise).numpy()
    spread = at_once.std(0)
    assert spread.mean() > 0.5
    error = (one_by_one.mean(0) - at_once.mean(0)) / np.maximum(spread, 0.2) * np.sqrt(runs)
    assert np.abs(error).max() < 4.5 and error.std() == pytest.approx(1.0, abs=0.25)
    assert one_by_one.std(0).mean() == pytest.approx(spread.mean(), rel=0.03)


def test_each_head_of_a_layer_has_its_own_hardware():
    torch = pytest.importorskip("torch")
    tensors = [torch.from_numpy(x) for x in codes(FIXED, 9, heads=(2, 3))]  # [B, H, T, d]
    drawn = head_variations(FIXED, [4, 5, 6], tensors[0])
    got = causal_attention(FIXED, *tensors, variation=drawn)
    for head, number in enumerate((4, 5, 6)):
        alone = [x[1, head].numpy() for x in tensors]
        assert np.array_equal(got[1, head].numpy(), stream(FIXED, *alone, number=number))


def test_grouped_queries_share_one_pair_of_arrays():
    torch = pytest.importorskip("torch")
    q = torch.from_numpy(codes(FIXED, 9, heads=(2, 3))[0])  # [Hkv, g, T, d]
    k, v = (torch.from_numpy(x) for x in codes(FIXED, 9, heads=(2, 1))[1:])
    drawn = head_variations(FIXED, [4, 5], q).map(lambda x: x[:, None])
    got = causal_attention(FIXED, q, k, v, variation=drawn)
    for head, number in enumerate((4, 5)):
        for query in range(3):
            alone = [x.numpy() for x in (q[head, query], k[head, 0], v[head, 0])]
            expected = stream(FIXED, *alone, number=number)
            assert np.array_equal(got[head, query].numpy(), expected)


def test_what_a_group_shares_is_written_once():
    spec = with_imperfections(SMALL, write_noise_v=0.05)
    q, k, v = (x[None] for x in codes(spec, 9))
    both = np.concatenate([q, q])
    shared = causal_attention(
        spec, both, k, v, variation=head_variation(spec, 0), noise=np.random.default_rng(0)
    )
    assert np.array_equal(shared[0], shared[1])
    twice = (both, np.concatenate([k, k]), np.concatenate([v, v]))
    each = causal_attention(
        spec, *twice, variation=head_variation(spec, 0), noise=np.random.default_rng(0)
    )
    assert not np.array_equal(each[0], each[1])


def test_sub_tiles_with_nothing_in_them_count_their_offset():
    spec = with_imperfections(SMALL, out_offset=1.0)
    zeros = np.zeros((1, 6))
    analog = AnalogHead(spec, variation=head_variation(spec, 0))
    trace = GoldenHead(spec, analog=analog).step(zeros[0], zeros[0], zeros[0])
    assert np.any(trace.counts[1:] != 0)
    got = causal_attention(spec, zeros, zeros, zeros, variation=head_variation(spec, 0))
    assert np.array_equal(got[0], trace.out)


def test_sub_tiles_with_nothing_in_them_are_as_noisy_as_the_others():
    spec = with_imperfections(SMALL, read_noise_v=1.0)
    drawn, none = head_variation(spec, 0), np.zeros((3000, 1, 6))
    noise = np.random.default_rng(0)
    at_once = causal_attention(spec, none, none, none, variation=drawn, noise=noise)
    one_by_one = [stream(spec, none[0], none[0], none[0], seed=seed) for seed in range(200)]
    assert at_once.std() == pytest.approx(np.std(one_by_one), rel=0.1)
    assert at_once.std() == pytest.approx(3**0.5 * 1.0 / 3.0 * 15, rel=0.1)  # three sub-tiles


def test_further_queries_read_anew_what_was_written_once():
    spec = with_imperfections(SMALL, read_noise_k=0.5, write_noise_v=0.01)
    drawn = {"variation": head_variation(spec, 0), "noise": np.random.default_rng(0)}
    head = GoldenHead(spec, analog=AnalogHead(spec, **drawn))
    codes_of_half = [np.full(6, n) for n in (5, 4, 4)]
    first, second = head.step(*codes_of_half), head.query(codes_of_half[0])
    assert np.array_equal(first.score, second.score)
    assert not np.array_equal(first.phi_ps, second.phi_ps)


def test_a_constant_cell_has_nothing_to_write():
    spec = with_imperfections(SMALL.replace(cell__transfer=((0.7,),)), write_noise_v=0.1)
    q, k, v = codes(spec, 5)
    assert np.array_equal(stream(spec, q, k, v), GoldenHead(spec.ideal).run(q, k, v))


def test_imperfections_that_nobody_drew_are_refused():
    q, k, v = codes(FIXED, 3)
    for attempt in (lambda: GoldenHead(FIXED), lambda: causal_attention(FIXED, q, k, v)):
        with pytest.raises(SpecError, match="has imperfections: give the head's variation"):
            attempt()
    with pytest.raises(SpecError, match="has noise: give a random generator"):
        causal_attention(IMPERFECT, q, k, v, variation=head_variation(IMPERFECT, 0))
