"""Perplexity, and the texts that it is measured on."""

from functools import partial

import pytest
import torch

from ml.errors import SettingError
from ml.evaluate.perplexity import logits_of, mean_loss, perplexity, texts_of
from ml.train.command import new_model
from tests.ml.families import SMALL


@pytest.fixture
def model():
    return new_model(7, **SMALL)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(model, ids):
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()
    found = perplexity(partial(logits_of, model), ids)
    assert found == pytest.approx(SMALL["vocab_size"], rel=1e-5)


def test_mean_loss_weighs_every_text_the_same(model, ids):
    logits = partial(logits_of, model)
    each = [mean_loss(logits, text[None]) for text in ids]
    assert mean_loss(logits, ids) == pytest.approx(sum(each) / len(each), rel=1e-5)


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
