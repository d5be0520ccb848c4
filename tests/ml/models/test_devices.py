"""Converted models off the CPU: on `meta` everywhere, on a GPU where there is one."""

from typing import Any

import pytest
import torch
from accelerate import cpu_offload
from torch import Tensor
from transformers import AutoModelForCausalLM

from ml.attention.cache_argument import NAME
from ml.attention.decode import attend_slots
from ml.attention.exact import exact_attention
from ml.attention.fast import fast_attention
from ml.errors import ModelError
from ml.models import GainCellHeads, convert, heads_of
from tests.ml.codes import random_codes

GPU = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
)


@pytest.fixture(params=["cpu", GPU])
def device(request) -> str:
    return request.param


def in_parts(model: Any, ids: Tensor) -> Tensor:
    """Logits of `ids` with a cache: a prompt, one token, and the others."""
    past, got = None, []
    with torch.no_grad():
        for part in ids.split([40, 1, ids.shape[1] - 41], dim=1):
            out = model(part, **{NAME: past})
            past = out[NAME]
            got.append(out.logits)
    return torch.cat(got, dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_of_every_family_runs_on_meta(dtype, family, hf_spec, hf_ids):
    model: Any = convert(family.to(dtype), hf_spec)
    model.to("meta")
    logits = in_parts(model, hf_ids.to("meta"))
    assert logits.device.type == "meta"
    assert (logits.shape, logits.dtype) == ((3, 60, 50), dtype)


@pytest.mark.parametrize("mixing", [True, False])
def test_heads_run_and_learn_on_meta(mixing, hf_spec, generator):
    heads = GainCellHeads(hf_spec, 4, 2, mixing).to("meta")
    signals = [torch.empty(2, h, 30, 16, device="meta", requires_grad=True) for h in (4, 2, 2)]
    out = heads(*signals)
    out.sum().backward()
    assert out.device.type == "meta" and out.shape == (2, 4, 30, 16)
    assert all(x.grad is not None for x in (*signals, *heads.parameters()))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert heads(*signals).dtype == torch.float32


def test_the_default_device_is_no_part_of_a_model(converted, hf_ids):
    with torch.no_grad():
        expected = in_parts(converted, hf_ids)
        with torch.device("meta"):
            assert torch.equal(in_parts(converted, hf_ids), expected)
            mask = torch.ones_like(hf_ids)
            mask[0, :5] = 0
            padded = converted(hf_ids, attention_mask=mask).logits
    assert padded.device.type == "cpu" and not torch.equal(padded[0], expected[0])


def test_offloaded_weights_serve_without_a_cache_alone(llama, hf_spec, hf_ids):
    model = convert(llama, hf_spec)
    with torch.no_grad():
        expected = model(hf_ids, use_cache=False).logits
        cpu_offload(model, execution_device=torch.device("cpu"))
        assert torch.equal(model(hf_ids, use_cache=False).logits, expected)
        with pytest.raises(ModelError, match=r"^signal k is on cpu, the heads on meta: keep each"):
            model(hf_ids)


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}])
def test_a_device_map_places_a_saved_model(device_map, llama, hf_spec, hf_ids, tmp_path):
    model = convert(llama, hf_spec)
    model.save_pretrained(tmp_path)
    placed: Any = AutoModelForCausalLM.from_pretrained(tmp_path, device_map=device_map)
    at = placed.device
    with torch.no_grad():
        got = in_parts(placed, hf_ids.to(at)).cpu()
        if at.type == "cpu":
            assert torch.equal(got, in_parts(model, hf_ids))
    assert {p.device for p in placed.parameters()} == {at} and got.isfinite().all()


# On the CPU these compare it with itself; on a GPU they are what docs/adapting.md says of one.


def test_exact_codes_are_those_of_the_cpu(device, any_spec, generator):
    """In double precision every sum is exact, whatever its order."""
    codes = random_codes(any_spec, generator, 4, 2, 75)
    got = exact_attention(any_spec, codes[0].to(device), codes[1].to(device), codes[2].to(device))
    assert got.device.type == device
    assert torch.equal(got.cpu(), exact_attention(any_spec, *codes))
    window = any_spec.geometry.window
    k, v = (x[:, :, :window].byte() for x in codes[1:])
    inputs = (codes[0][:, :, 0], k, v, torch.arange(window)[None])
    one = attend_slots(any_spec, *(x.to(device) for x in inputs))
    assert torch.equal(one.cpu(), attend_slots(any_spec, *inputs))


def test_gradients_are_those_of_the_cpu(device, tiny_spec, generator):
    codes = random_codes(tiny_spec, generator, 4, 2, 45)
    gradients = []
    for at in ("cpu", device):
        inputs = [x.to(at).requires_grad_() for x in codes]
        fast_attention(tiny_spec, inputs[0], inputs[1], inputs[2]).square().sum().backward()
        gradients.append([x.grad for x in inputs])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a.cpu(), b.cpu(), rtol=1e-9, atol=1e-9)


def test_a_model_moves_with_its_heads(device, converted, hf_ids):
    """In double precision, where hardly a signal lies between two codes on one device alone."""
    expected = in_parts(converted, hf_ids)
    moved = converted.to(device)
    got = in_parts(moved, hf_ids.to(device))
    assert got.device.type == device
    assert ((got.cpu() - expected).abs().amax(-1) < 1e-6).double().mean() > 0.9
    with torch.no_grad():
        whole = moved(hf_ids.to(device), use_cache=False).logits
    assert torch.allclose(got, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_generates_in_its_precision(dtype, device, family, hf_spec, hf_ids):
    model: Any = convert(family.to(dtype), hf_spec)
    model.to(device)
    assert {p.dtype for h in heads_of(model) for p in h.parameters()} == {torch.float32}
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    ids = hf_ids[:, :20].to(device)
    out = model.generate(ids, attention_mask=torch.ones_like(ids), **options)
    assert out.device.type == device and out.shape == (3, 28)
    if dtype == torch.float32:
        mask = torch.ones_like(ids)
        again = model.generate(ids, attention_mask=mask, use_cache=False, **options)
        assert torch.equal(out, again)
