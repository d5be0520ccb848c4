"""Attention in tiles: the codes and the gradients of the plain definition."""

import pytest
import torch

from analog_models.head import GoldenHead
from analog_models.physics import causal_attention
from analog_models.spec import HardwareSpec
from ml.exact_attention import exact_attention
from ml.fast_attention import fast_attention
from ml.surrogate import SurrogateOps

VARIANTS = {
    "cubic": {},
    "whole_term": {"leakage__convention": "whole_term"},
    "leaky": {"leakage__decay_per_token": 0.02, "leakage__asymptote_v": 0.1},
    "no_leak": {"leakage__decay_per_token": 0.0},
    "two_bits": {"levels__out_magnitude_bits": 2, "levels__q": 4, "levels__kv": 5},
}
Codes = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(params=[*VARIANTS, "linear"])
def any_spec(request, tiny_spec) -> HardwareSpec:
    tiny_spec = tiny_spec.replace(converter__a_sat=10.0)
    if request.param == "linear":
        return tiny_spec.linearised()
    return tiny_spec.replace(**VARIANTS[request.param])


def random_codes(spec: HardwareSpec, generator, heads: int, shared: int, tokens: int) -> Codes:
    """Codes of a batch of two: q [2, heads, T, D], k and v [2, shared, T, D]."""
    dim, levels = spec.geometry.head_dim, spec.levels
    sizes = ((levels.q, heads), (levels.kv, shared), (levels.kv, shared))
    q, k, v = (
        torch.randint(n, (2, h, tokens, dim), generator=generator).double() for n, h in sizes
    )
    return q, k, v


def dense(spec: HardwareSpec, q, k, v, **ops) -> torch.Tensor:
    """The plain definition, key and value heads repeated."""
    group = q.shape[1] // k.shape[1]
    return causal_attention(spec, q, *(x.repeat_interleave(group, 1) for x in (k, v)), **ops)


@pytest.mark.parametrize("tokens", [1, 8, 29])
def test_exact_codes_are_those_of_the_plain_definition(any_spec, generator, tokens):
    q, k, v = random_codes(any_spec, generator, 4, 2, tokens)
    assert torch.equal(exact_attention(any_spec, q, k, v), dense(any_spec, q, k, v))


def test_exact_codes_are_those_of_the_golden_head_as_the_window_wraps(any_spec, generator):
    q, k, v = random_codes(any_spec, generator, 2, 1, 77)
    heads = [GoldenHead(any_spec, xp=torch).run(q[0, i], k[0, 0], v[0, 0]) for i in range(2)]
    assert torch.equal(exact_attention(any_spec, q, k, v)[0], torch.stack(heads))


@pytest.mark.parametrize("tokens", [1, 8, 29])
def test_codes_and_gradients_are_those_of_the_plain_definition(any_spec, generator, tokens):
    codes = random_codes(any_spec, generator, 4, 2, tokens)
    plain, fast = ([x.clone().requires_grad_() for x in codes] for _ in range(2))
    expected = dense(any_spec, *plain, ops=SurrogateOps())
    out = fast_attention(any_spec, *fast)
    assert torch.equal(out, expected)
    weights = torch.randn(out.shape, generator=generator, dtype=out.dtype)
    for result in (out, expected):
        result.backward(weights)
    for a, b in zip(fast, plain, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-12)
