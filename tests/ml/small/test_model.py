"""The language model and its perplexity."""

import math

import pytest
import torch

from ml.errors import SettingError
from ml.evaluate.perplexity import mean_loss, perplexity, texts_of
from ml.small.model import LanguageModel, ModelConfig, SoftmaxAttention, join_heads, split_heads


def test_no_token_sees_the_future(teacher, ids):
    ids = ids[:, :-1]
    changed = ids.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % teacher.config.vocabulary
    before, after = teacher(ids), teacher(changed)
    torch.testing.assert_close(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10:], after[:, 10:])


def test_softmax_attention_is_the_textbook_formula(teacher, ids):
    attention = teacher.blocks[0].attention
    assert isinstance(attention, SoftmaxAttention)
    x = teacher.hidden(ids[:, :-1])
    q, k, v = (split_heads(p, 2) for p in attention.qkv(x).chunk(3, dim=-1))
    scores = q @ k.mT / q.shape[-1] ** 0.5
    scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
    wanted = attention.proj(join_heads(scores.softmax(-1) @ v))
    torch.testing.assert_close(attention(x), wanted)


def test_initial_weights_depend_on_the_generator_alone():
    config = ModelConfig(vocabulary=16, context=8, layers=1, heads=1, width=8)
    one, same, other = (
        LanguageModel(config).initialise(torch.Generator().manual_seed(s)).tokens.weight
        for s in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(teacher, ids):
    with torch.no_grad():
        teacher.tokens.weight.zero_()
    assert perplexity(teacher, ids) == pytest.approx(teacher.config.vocabulary, rel=1e-5)


def test_mean_loss_weighs_every_text_the_same(teacher, ids):
    each = [mean_loss(teacher, text[None]) for text in ids]
    assert mean_loss(teacher, ids) == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_texts_share_only_their_border():
    texts = texts_of(torch.arange(100), 8)
    assert texts.shape == (12, 9)
    assert torch.equal(texts[:, 1:].flatten(), torch.arange(1, 97))


def test_limited_texts_are_spread():
    texts = texts_of(torch.arange(1001), 10, limit=4)
    assert texts[:, 0].tolist() == [0, 250, 500, 750]


def test_too_short_a_text_is_refused():
    with pytest.raises(SettingError, match=r"^8 tokens: too few for one text of 8 tokens$"):
        texts_of(torch.arange(8), 8)
