"""Cached decoding against the parallel form: the same codes, window after window."""

from typing import Any

import pytest
import torch

from analog_models.head import GoldenHead
from ml.attention.cache import CodeCache
from ml.attention.cache_argument import NAME
from ml.attention.decode import step
from ml.attention.exact import exact_attention
from ml.errors import ModelError
from ml.models import convert, heads_of


@pytest.fixture
def codes(hf_spec, generator) -> list[torch.Tensor]:
    """Random codes q [2, 4, 60, 16], k and v [2, 2, 60, 16]."""

    def random(heads: int, levels: int) -> torch.Tensor:
        return torch.randint(levels, (2, heads, 60, 16), generator=generator).double()

    return [random(4, hf_spec.levels.q), random(2, 8), random(2, 8)]


@pytest.mark.parametrize("tokens", [1, 3, 8, 15, 16, 17, 23, 60])
def test_a_step_is_the_last_token_of_the_parallel_form(codes, tokens, hf_spec):
    q, k, v = (x[..., :tokens, :] for x in codes)
    expected = exact_attention(hf_spec, q, k, v)[..., -1:, :]
    assert torch.equal(step(hf_spec, q[..., -1:, :], k.byte(), v.byte()), expected)
    assert tokens == 1 or expected.abs().max() > 3


def test_a_step_is_the_golden_head(codes, hf_spec):
    q, k, v = (x[0] for x in codes)
    head = GoldenHead(hf_spec, xp=torch)
    for t in range(40):
        head.step(q[1, t], k[0, t], v[0, t])
    out = step(hf_spec, codes[0][:1, :, 39:40], *(x[:1, :, :40].byte() for x in codes[1:]))
    assert torch.equal(out[0, 1, 0], head.query(q[1, 39]).out)


def test_a_step_of_sequences_that_start_late(codes, hf_spec):
    q, k, v = (x[..., :29, :] for x in codes)
    starts = torch.tensor([5, 14])
    out = step(hf_spec, q[..., -1:, :], k.byte(), v.byte(), starts)
    for row, start in enumerate(starts.tolist()):
        alone = exact_attention(hf_spec, *(x[row, :, start:] for x in (q, k, v)))
        assert torch.equal(out[row], alone[..., -1:, :])


def outputs_of(model, calls) -> list[torch.Tensor]:
    """Output codes of every layer over some calls of the model, in the order of the tokens."""
    recorded = [[] for _ in heads_of(model)]
    handles = []
    for into, heads in zip(recorded, heads_of(model), strict=True):
        plain = heads.decode
        heads.decode = lambda out, into=into, plain=plain: into.append(out) or plain(out)
        handles.append(heads)
    calls()
    for heads in handles:
        del heads.decode
    return [torch.cat(parts, dim=-2) for parts in recorded]


@torch.no_grad()
@pytest.mark.parametrize("sizes", [[1] * 60, [13, 1, 1, 30, 7, 1, 1, 6], [60]])
def test_cached_decoding_equals_the_parallel_form_code_for_code(converted, hf_ids, sizes):
    def parts() -> None:
        past: Any = None
        first = 0
        for size in sizes:
            ids = hf_ids[:, first : first + size]
            past = converted(ids, **{NAME: past}, use_cache=True)[NAME]
            first += size

    whole = outputs_of(converted, lambda: converted(hf_ids, use_cache=False))
    for a, b in zip(outputs_of(converted, parts), whole, strict=True):
        assert torch.equal(a, b)
        assert b.abs().max() > 2


@torch.no_grad()
def test_the_cache_holds_codes_of_few_windows(llama, hf_spec, generator):
    converted, window = convert(llama, hf_spec), hf_spec.geometry.window
    ids = torch.randint(1, 49, (1, 10 * window), generator=generator)
    past = CodeCache(heads_of(converted))
    for part in ids.split(3, dim=1):
        converted(part, **{NAME: past})
        layer: Any = past.layers[0]
        assert layer.keys.shape[-2] < 3 * window + 3
        assert layer.forgotten % window == 0
    assert past.get_seq_length() == 10 * window
    assert layer.keys.dtype == layer.values.dtype == torch.uint8
    assert layer.keys.max() <= hf_spec.levels.kv_max
    past.reset()
    assert past.get_seq_length() == 0


@torch.no_grad()
@pytest.mark.parametrize(("start", "sizes"), [(5, [7] + [1] * 40 + [3, 10]), (40, [41] + [1] * 19)])
def test_padded_sequences_decode_as_alone_whatever_is_forgotten(start, sizes, converted, hf_ids):
    tokens = hf_ids.shape[1]
    alone = converted(hf_ids[:1, start:], use_cache=False).logits
    mask = torch.ones(3, tokens, dtype=torch.long)
    mask[0, :start] = 0
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    past: Any = None
    got, first = [], 0
    for size in sizes:
        stop = first + size
        out = converted(
            hf_ids[:, first:stop],
            attention_mask=mask[:, :stop],
            position_ids=positions[:, first:stop],
            use_cache=True,
            **{NAME: past},
        )
        past, first = out[NAME], stop
        got.append(out.logits)
    assert past.layers[0].forgotten > 0
    assert torch.allclose(torch.cat(got, dim=1)[:1, start:], alone, atol=1e-5)


def test_a_cache_in_training_is_refused(llama, hf_spec, hf_ids):
    with pytest.raises(ModelError, match=r"^use_cache in training: a cache of codes has no"):
        convert(llama, hf_spec).train()(hf_ids, use_cache=True)
