"""Cached decoding: the codes of the parallel form and of the golden head."""

import pytest
import torch

from analog_models.head import GoldenHead
from common.errors import CodeError
from ml.attention.decode import WindowCache
from ml.attention.exact import exact_attention
from tests.ml.codes import random_codes


def in_parts(cache: WindowCache, codes, *sizes: int) -> torch.Tensor:
    """Output codes of a sequence given to the cache a few tokens at a time."""
    parts = zip(*(x.split(list(sizes), dim=-2) for x in codes), strict=True)
    return torch.cat([cache.update_and_attend(*part) for part in parts], dim=-2)


@pytest.mark.parametrize("sizes", [(1,) * 45, (20, 1, 1, 3, 20), (40, 5)])
def test_decoding_gives_the_codes_of_the_parallel_form(any_spec, generator, sizes):
    """Window of 32: the later tokens overwrite the first."""
    codes = random_codes(any_spec, generator, 4, 2, 45)
    expected = exact_attention(any_spec, *codes)
    assert expected.abs().max() > 2
    assert torch.equal(in_parts(WindowCache(any_spec), codes, *sizes), expected)


def test_decoding_gives_the_codes_of_the_golden_head(tiny_spec, generator):
    q, k, v = random_codes(tiny_spec, generator, 2, 1, 70)
    out = in_parts(WindowCache(tiny_spec), (q, k, v), *(1,) * 70)
    for head in range(2):
        golden = GoldenHead(tiny_spec, xp=torch).run(q[0, head], k[0, 0], v[0, 0])
        assert torch.equal(out[0, head], golden)


def test_a_flushed_cache_starts_anew_with_another_batch(tiny_spec, generator):
    codes = random_codes(tiny_spec, generator, 2, 2, 9)
    cache = WindowCache(tiny_spec)
    in_parts(cache, codes, 4, 5)
    cache.flush()
    q, k, v = (x[:1] for x in codes)
    assert torch.equal(in_parts(cache, (q, k, v), 4, 5), exact_attention(tiny_spec, q, k, v))
    assert cache.tokens == 9


def test_reordered_rows_go_on_from_each_other(tiny_spec, generator):
    codes = random_codes(tiny_spec, generator, 2, 2, 9)
    cache = WindowCache(tiny_spec)
    swapped = torch.tensor([1, 0])
    cache.update_and_attend(*(x[:, :, :8] for x in codes))
    cache.reorder(swapped)
    last = cache.update_and_attend(*(x[swapped, :, 8:] for x in codes))
    assert torch.equal(last, exact_attention(tiny_spec, *codes)[swapped, :, 8:])


def test_codes_keep_their_type_and_wrong_ones_are_refused(tiny_spec, generator):
    q, k, v = (x.float() for x in random_codes(tiny_spec, generator, 2, 1, 3))
    cache = WindowCache(tiny_spec)
    assert cache.update_and_attend(q, k, v).dtype == torch.float32
    with pytest.raises(CodeError, match="k has shape"):
        cache.update_and_attend(q[:1], k[:1], v[:1])
    with pytest.raises(CodeError, match="allowed whole numbers 0 to 7"):
        cache.update_and_attend(q, k + 0.5, v)
    with pytest.raises(CodeError, match="q, k, v have shapes"):
        cache.update_and_attend(q, k[:, :, :2], v)
