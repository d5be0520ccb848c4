"""A comparison finds what differs, in the text and in the codes."""

import pytest
import torch

from codesign.checks import against_all_at_once, against_heads
from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.heads import GoldenHeads
from tests.codesign.conftest import PER_TOKEN, VOCABULARY

PROMPT, ADDED = 6, 5


@pytest.fixture
def made(model, feed, ids):
    """Ids and codes of a text that golden heads have written."""
    loop = ClosedLoop(model, GoldenHeads(feed))
    prompt = ids[:PROMPT]
    added = [*generate(loop.predict, prompt, ADDED, Sampler(1.0))]
    return torch.cat([prompt, torch.tensor(added)]), loop.codes


def checks(model, feed, text, codes):
    golden = GoldenHeads(feed)
    yield against_all_at_once(model, text, PROMPT, codes, Sampler(1.0))
    yield against_heads(model, golden, text, PROMPT, codes, Sampler(1.0))


def test_equal_is_equal(model, feed, made):
    for check in checks(model, feed, *made):
        assert check.equal and check.first is None
        assert check.codes == PER_TOKEN * (PROMPT + ADDED - 1)
        assert check.result()["tokens_differing"] == 0


def test_a_code_that_differs_is_located(model, feed, made):
    text, codes = made
    codes.out[1, 0, 7, 3] += 1
    codes.v[0, 1, 7, 5] ^= 3
    codes.q[0, 0, 8, 0] += 1
    got, expected = int(codes.v[0, 1, 7, 5]), int(codes.v[0, 1, 7, 5]) ^ 3
    for check in checks(model, feed, text, codes):
        assert not check.equal and check.mismatches == 3 and check.tokens_differing == 0
        place = "token 7, layer 0, head 1, dimension 5 of v"
        assert check.first == f"{place}: got {got}, expected {expected}"


def test_a_token_that_differs_is_counted(model, feed, made):
    text, codes = made
    text[PROMPT + 2] = (text[PROMPT + 2] + 1) % VOCABULARY
    at_once, by_heads = checks(model, feed, text, codes)
    assert at_once.tokens_differing >= 1 and by_heads.tokens_differing >= 1
    assert not at_once.equal and not by_heads.equal
    assert by_heads.codes == PER_TOKEN * (PROMPT + 2) and not by_heads.mismatches
