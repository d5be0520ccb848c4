"""Training's operations: the hardware's values, gradients that get through."""

import torch

from analog_models.attend import causal_attention
from analog_models.physics import EXACT
from ml.attention.surrogate import CLIP_LEAK, SurrogateOps

OPS = SurrogateOps()


def test_values_are_those_of_the_hardware(generator):
    x = torch.cat((torch.randn(1000, generator=generator) * 5, torch.arange(-4, 5) / 2))
    assert torch.equal(OPS.quantise(x), EXACT.quantise(x))
    assert torch.equal(OPS.clip(x, -1.0, 2.0), EXACT.clip(x, -1.0, 2.0))


def test_rounding_passes_the_gradient():
    x = torch.tensor([0.2, 0.5, 7.7], requires_grad=True)
    (OPS.quantise(x) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1.0, 2.0, 3.0]


def test_clipping_leaks_the_gradient_outside():
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    OPS.clip(x, 0.0, 1.0).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([CLIP_LEAK, 1.0, 1.0, 1.0, CLIP_LEAK]))


def test_attention_with_surrogates_gives_the_exact_codes(spec, generator):
    """Without the arithmetic grid a count may flip where a pulse ends on a clock edge."""
    q = torch.randint(16, (3, 130, 64), generator=generator).double()
    k, v = (torch.randint(8, (3, 130, 64), generator=generator).double() for _ in range(2))
    exact, trained = causal_attention(spec, q, k, v), causal_attention(spec, q, k, v, OPS)
    assert exact.abs().max() > 10
    assert (exact - trained).abs().max() <= 1
    assert (exact != trained).double().mean() < 2e-3


def test_gradients_reach_q_k_and_v(tiny_spec, generator):
    q, k, v = (
        (torch.rand(1, 20, 16, generator=generator) * full).requires_grad_() for full in (15, 7, 7)
    )
    weights = torch.randn(1, 20, 16, generator=generator)
    (causal_attention(tiny_spec, q, k, v, OPS) * weights).sum().backward()
    for code in (q, k, v):
        assert code.grad is not None and bool(torch.isfinite(code.grad).all())
        assert (code.grad != 0).float().mean() > 0.3
