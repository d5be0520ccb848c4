"""Attention by the compiled kernel: the codes and the gradients of the plain definition."""

import pytest
import torch

from analog_models.attend import causal_attention
from common.errors import CodeError
from ml.attention import fast as module
from ml.attention.exact import exact_attention
from ml.attention.fast import fast_attention
from ml.attention.surrogate import SurrogateOps
from tests.ml.codes import random_codes

OPS = SurrogateOps()


def gradients(attend, codes, generator: torch.Generator) -> list[torch.Tensor]:
    """Output codes and, for random weights of them, the gradients of q, k and v."""
    inputs = [x.clone().requires_grad_() for x in codes]
    out = attend(*inputs)
    weights = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out.dtype)
    (out * weights).sum().backward()
    return [out.detach(), *(torch.zeros_like(x) if x.grad is None else x.grad for x in inputs)]


def assert_same(spec, codes, generator) -> None:
    """In double precision fast_attention is the plain definition, beyond the window its tiles."""
    state = generator.get_state()
    fast = gradients(lambda q, k, v: fast_attention(spec, q, k, v), codes, generator)
    generator.set_state(state)
    plain = gradients(lambda q, k, v: exact_attention(spec, q, k, v, OPS), codes, generator)
    assert torch.equal(fast[0], plain[0])
    for a, b in zip(fast[1:], plain[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tokens", [1, 29, 75])
def test_codes_and_gradients_are_those_of_the_plain_definition(any_spec, generator, tokens):
    """Four query heads on two key heads; 75 tokens go twice around the window of 32."""
    codes = random_codes(any_spec, generator, 4, 2, tokens)
    assert_same(any_spec, codes, generator)


def test_the_tiles_have_the_gradients_of_the_whole(tiny_spec, generator):
    """So `assert_same` compares with `causal_attention` wherever that is defined."""
    codes = random_codes(tiny_spec, generator, 2, 2, 30)
    state = generator.get_state()
    tiles = gradients(lambda q, k, v: exact_attention(tiny_spec, q, k, v, OPS), codes, generator)
    generator.set_state(state)
    whole = gradients(lambda q, k, v: causal_attention(tiny_spec, q, k, v, OPS), codes, generator)
    for a, b in zip(tiles, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"geometry__subtile": 16, "geometry__subtiles": 1},
        {"geometry__head_dim": 40, "geometry__array_rows": 20},
        {"geometry__subtile": 4, "geometry__subtiles": 3, "geometry__head_dim": 12},
        {"cell__transfer": ((2.0,),)},
        {"cell__transfer": ((0.2, 0.1), (5.0,), (-2.0,), (40.0,), (9.0,))},
    ],
    ids=["one_subtile", "wide_head", "least", "constant_cell", "fourth_power"],
)
def test_other_geometries_and_cells(tiny_spec, generator, change):
    spec = tiny_spec.replace(**change)
    assert_same(spec, random_codes(spec, generator, 3, 1, 37), generator)


def test_single_precision_changes_few_codes_and_gradients_little(spec, generator):
    codes = random_codes(spec, generator, 3, 1, 200)
    state = generator.get_state()
    double = gradients(lambda q, k, v: fast_attention(spec, q, k, v), codes, generator)
    generator.set_state(state)
    single = gradients(
        lambda q, k, v: fast_attention(spec, q, k, v), [x.float() for x in codes], generator
    )
    assert single[0].dtype == torch.float32 and double[0].abs().max() > 30
    assert (single[0] - double[0]).abs().max() <= 1
    assert (single[0] != double[0]).double().mean() < 1e-4
    for a, b in zip(single[1:], double[1:], strict=True):
        assert float((a - b).norm() / b.norm()) < 0.02


@pytest.mark.parametrize("reason", ["no compiler", "charge is gone within a sub-tile", "rows of 5"])
def test_without_the_kernel_the_tiles_do_it(tiny_spec, generator, monkeypatch, reason):
    if reason == "no compiler":
        monkeypatch.setattr(module, "plan_of", module.Plan)  # the kept plan has a kernel
        monkeypatch.setattr(module, "kernel", lambda *_: None)
    elif reason == "rows of 5":
        tiny_spec = tiny_spec.replace(geometry__subtile=5)
    else:
        tiny_spec = tiny_spec.replace(leakage__decay_per_token=1.0, geometry__subtile=16)
    assert_same(tiny_spec, random_codes(tiny_spec, generator, 2, 1, 30), generator)


def test_what_is_kept_for_the_backward_pass_grows_with_the_tokens(tiny_spec, generator):
    def kept(tokens: int) -> int:
        sizes = []

        def note(x: torch.Tensor) -> torch.Tensor:
            sizes.append(x.numel())
            return x

        codes = [x.requires_grad_() for x in random_codes(tiny_spec, generator, 2, 1, tokens)]
        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            fast_attention(tiny_spec, codes[0], codes[1], codes[2])
        return sum(sizes)

    assert 0 < kept(256) <= 2 * kept(128) and kept(256) <= 4 * 4 * 256 * 16


def test_threads_change_nothing(tiny_spec, generator):
    codes = random_codes(tiny_spec, generator, 5, 5, 20)
    one = fast_attention(tiny_spec, *codes)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(fast_attention(tiny_spec, *codes), one)
    finally:
        torch.set_num_threads(threads)


def test_wrong_shapes_are_refused(tiny_spec):
    q, k = torch.zeros(3, 8, 16), torch.zeros(2, 8, 16)
    short, flat = q[..., :8], q[0]
    for a, b, c in ((q, k, k), (q, q, k), (short, short, short), (flat, flat, flat)):
        with pytest.raises(CodeError, match="Hq a multiple of Hkv"):
            fast_attention(tiny_spec, a, b, c)
