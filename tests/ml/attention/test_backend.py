"""Backends that a model is given in the place of its own."""

import pytest
import torch

from ml.attention.backend import DEFAULT, FAST, Backend, Recording
from ml.attention.exact import exact_attention
from ml.attention.heads import heads_of, using
from ml.models import convert


class Full(Backend):
    """Counts as high as they get, and whom they were for."""

    def __init__(self) -> None:
        self.layers: list[int] = []

    def attend(self, layer, spec, q, k, v):
        self.layers.append(layer)
        return q * 0 + spec.levels.count_max


class Parallel(Backend):
    """The definition, with no form of its own for single tokens."""

    def attend(self, layer, spec, q, k, v):
        return exact_attention(spec, q.double(), k.double(), v.double()).to(q.dtype)


@pytest.fixture
def model(llama, hf_spec):
    return convert(llama, hf_spec)


def test_a_backend_serves_every_layer(model, hf_ids):
    backend, seen = Full(), []
    for heads in heads_of(model):
        heads.register_forward_hook(lambda heads, _, out: seen.append((heads, out)))
    with torch.no_grad(), using(model, backend):
        model(hf_ids, use_cache=False)
    assert backend.layers == list(range(len(heads_of(model)))) and len(seen) == len(backend.layers)
    for heads, out in seen:
        expected = (heads.scaler_out + heads.offset_out)[:, None].expand(out.shape)
        assert torch.allclose(out, expected)


def test_the_backend_of_before_comes_back(model):
    with using(model, FAST):
        with pytest.raises(ZeroDivisionError), using(model, Full()):
            raise ZeroDivisionError
        assert all(heads.backend is FAST for heads in heads_of(model))
    assert all(heads.backend is DEFAULT for heads in heads_of(model))


def test_cached_decoding_asks_the_backend(model, hf_ids):
    """Whatever the backend: a cache gives what the whole text gives at once, padded or not."""
    mask = torch.ones_like(hf_ids)
    mask[0, :5] = 0
    options = {"max_new_tokens": 20, "do_sample": False, "pad_token_id": 0}
    texts = []
    for backend in (DEFAULT, Parallel()):
        with using(model, backend):
            texts.append(model.generate(hf_ids, attention_mask=mask, **options))
    assert torch.equal(*texts)
    backend = Full()
    with using(model, backend):
        model.generate(hf_ids[:1], **options)
    assert len(backend.layers) == 20 * len(heads_of(model))


def test_a_record_has_every_call(model, hf_ids, hf_spec):
    recording = Recording()
    with torch.no_grad(), using(model, recording):
        for _ in range(2):
            logits = model(hf_ids[:1], use_cache=False).logits
    assert torch.equal(logits, model(hf_ids[:1], use_cache=False).logits)
    for layer in range(len(heads_of(model))):
        first, second = recording.codes[layer]
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert torch.equal(first.out, exact_attention(hf_spec, first.q, first.k, first.v))
