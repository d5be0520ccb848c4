"""Attention in tiles with the arithmetic of the plain definition."""

import pytest
import torch

from analog_models.attend import causal_attention
from analog_models.head import GoldenHead
from analog_models.spec import overlaid
from common.errors import SpecError
from ml.attention.decode import step
from ml.attention.exact import exact_attention
from ml.attention.fast import fast_attention
from tests.ml.codes import random_codes


@pytest.mark.parametrize("tokens", [1, 8, 29])
def test_codes_are_those_of_the_plain_definition(any_spec, generator, tokens):
    q, k, v = random_codes(any_spec, generator, 4, 2, tokens)
    every_k, every_v = (x.repeat_interleave(2, 1) for x in (k, v))
    whole = causal_attention(any_spec, q, every_k, every_v)
    assert torch.equal(exact_attention(any_spec, q, k, v), whole)


def test_codes_are_those_of_the_golden_head_as_the_window_wraps(any_spec, generator):
    """Window of 32: a second lap, and the first sub-tiles of a third."""
    q, k, v = random_codes(any_spec, generator, 2, 1, 75)
    golden = GoldenHead(any_spec, xp=torch).run(q[0, 1], k[0, 0], v[0, 0])
    assert torch.equal(exact_attention(any_spec, q, k, v)[0, 1], golden)


@pytest.mark.parametrize(
    "attention",
    [exact_attention, fast_attention, lambda spec, q, k, v: step(spec, q[..., -1:, :], k, v)],
    ids=["exact", "fast", "decode"],
)
def test_imperfect_hardware_is_refused(tiny_spec, generator, attention):
    q, k, v = random_codes(tiny_spec, generator, 2, 2, 9)
    with pytest.raises(SpecError, match="has imperfections"):
        attention(overlaid(tiny_spec, "typical"), q, k, v)
