"""Decoding token by token: the codes of the parallel form and of the golden head."""

import pytest
import torch

from analog_models.head import GoldenHead
from ml.attention.decode import step
from ml.attention.exact import exact_attention
from tests.ml.codes import random_codes


def decoded(spec, codes, kept: int | None = None) -> torch.Tensor:
    """Output codes of a sequence of which each token comes alone; `kept` tokens are remembered."""
    q, k, v = codes
    k, v = k.to(torch.uint8), v.to(torch.uint8)
    outs = []
    for last in range(q.shape[-2]):
        forgotten = 0 if kept is None else max(0, last + 1 - kept)
        forgotten -= forgotten % spec.geometry.window  # by whole windows, so that slots stay
        shown = slice(forgotten, last + 1)
        outs.append(step(spec, q[..., last : last + 1, :], k[..., shown, :], v[..., shown, :]))
    return torch.cat(outs, dim=-2)


@pytest.mark.parametrize("kept", [None, 32])
def test_decoding_gives_the_codes_of_the_parallel_form(any_spec, generator, kept):
    """Window of 32: the later tokens overwrite the first, twice."""
    codes = random_codes(any_spec, generator, 4, 2, 75)
    expected = exact_attention(any_spec, *codes)
    assert expected.abs().max() > 2
    assert torch.equal(decoded(any_spec, codes, kept), expected)


def test_decoding_gives_the_codes_of_the_golden_head(tiny_spec, generator):
    q, k, v = random_codes(tiny_spec, generator, 2, 1, 70)
    out = decoded(tiny_spec, (q, k, v))
    for head in range(2):
        golden = GoldenHead(tiny_spec, xp=torch).run(q[0, head], k[0, 0], v[0, 0])
        assert torch.equal(out[0, head], golden)


def test_sequences_of_a_batch_may_start_late(tiny_spec, generator):
    q, k, v = random_codes(tiny_spec, generator, 2, 1, 20)
    out = step(tiny_spec, q[..., -1:, :], k.byte(), v.byte(), starts=torch.tensor([0, 7]))
    for row, start in enumerate((0, 7)):
        q_row, k_row, v_row = (x[row, :, start:] for x in (q, k, v))
        alone = exact_attention(tiny_spec, q_row, k_row, v_row)
        assert torch.equal(out[row], alone[:, -1:])
