"""Models on imperfect hardware: what changes, what comes back, and that gradients get through."""

import numpy as np
import pytest
import torch

from analog_models.analog_head import AnalogHead
from analog_models.head import GoldenHead
from analog_models.spec import overlaid
from analog_models.variation import head_variation
from common.errors import CodeError
from ml.attention.backend import DEFAULT
from ml.evaluate.imperfect import Imperfect, imperfect
from ml.models import convert, heads_of

NOISES = ("write_noise_v", "read_noise_k", "read_noise_v", "phi_jitter_ps", "out_jitter_ps")


@pytest.fixture
def typical(hf_spec):
    return overlaid(hf_spec, "typical")


@pytest.fixture
def ids(hf_ids):
    """As long as the window of the hardware, [3, 16]."""
    return hf_ids[:, :16]


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def logits(model, ids):
    return model(ids, use_cache=False).logits


def test_the_model_is_imperfect_inside_only(converted, typical, ids):
    before = logits(converted, ids)
    with imperfect(converted, typical, noise()) as model:
        inside = logits(model, ids)
    with imperfect(converted, typical, noise()):
        assert torch.equal(logits(converted, ids), inside)
    with imperfect(converted, typical, noise(1)):
        assert not torch.equal(logits(converted, ids), inside)
    assert not torch.equal(before, inside)
    assert torch.equal(logits(converted, ids), before)


def test_a_perfect_specification_leaves_the_fast_path_alone(converted, hf_spec, ids):
    before = logits(converted, ids)
    with imperfect(converted, hf_spec, noise()):
        assert all(heads.backend is DEFAULT for heads in heads_of(converted))
        assert torch.equal(logits(converted, ids), before)


def test_what_was_before_comes_back_after_an_error(converted, typical):
    with pytest.raises(ZeroDivisionError), imperfect(converted, typical, noise()):
        raise ZeroDivisionError
    for heads in heads_of(converted):
        assert not heads.spec.imperfections.noisy and heads.backend is DEFAULT


def test_a_text_longer_than_the_window_is_refused(converted, typical, hf_ids):
    with (
        imperfect(converted, typical, noise()),
        pytest.raises(CodeError, match=r"sequence of 60 tokens: allowed 1 to 16, the window"),
    ):
        logits(converted, hf_ids)


def test_query_heads_of_a_group_run_on_the_piece_of_their_keys(converted, typical, generator):
    """Code for code what the numpy head gives, queries of a group one after the other."""
    spec = typical.replace(**{f"imperfections__{name}": 0.0 for name in NOISES})
    heads = heads_of(converted)[1]
    group = heads.query_heads // heads.kv_heads
    signals = [torch.randn(2, n, 16, 16, generator=generator).double() for n in _heads(heads)]
    with imperfect(converted, spec, noise()), torch.no_grad():
        codes = heads.codes(*signals)
        out = heads.counts(*codes)
    q, k, v = (x[0].numpy() for x in codes)
    shared = heads.kv_heads - 1
    piece = 1 * heads.kv_heads + shared  # layer 1
    golden = GoldenHead(spec, analog=AnalogHead(spec, variation=head_variation(spec, piece)))
    first, *others = range(shared * group, (shared + 1) * group)
    for t in range(16):
        found = {first: golden.step(q[first, t], k[shared, t], v[shared, t])}
        found |= {head: golden.query(q[head, t]) for head in others}
        for head, trace in found.items():
            assert np.array_equal(trace.out, out[0, head, t]), (head, t)


def _heads(heads) -> tuple[int, int, int]:
    return heads.query_heads, heads.kv_heads, heads.kv_heads


def test_single_precision_gives_the_same_codes(family, typical, generator):
    spec = typical.replace(**{f"imperfections__{name}": 0.0 for name in NOISES})
    model = convert(family, typical.ideal)
    heads = heads_of(model)[0]
    signals = [torch.randn(n, 16, 16, generator=generator) for n in _heads(heads)]
    with imperfect(model, spec, noise()), torch.no_grad():
        codes = heads.codes(*signals)
        single = heads.counts(*codes)
        assert torch.equal(single.double(), heads.counts(*(x.double() for x in codes)))
    assert single.dtype == torch.float32


def test_gradients_get_through_imperfect_hardware(family, typical, ids):
    model = convert(family, typical.ideal).train()
    with imperfect(model, typical, noise()):
        assert isinstance(heads_of(model)[0].backend, Imperfect)
        model(ids, use_cache=False).logits.square().mean().backward()
    for heads in heads_of(model):
        for name, parameter in heads.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            if not name.startswith("offset"):
                assert (parameter.grad != 0).double().mean() > 0.9, name
