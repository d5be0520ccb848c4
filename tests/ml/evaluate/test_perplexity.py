"""Perplexity, and the texts that it is measured on."""

import pytest
import torch

from ml.errors import ModelError, SettingError
from ml.evaluate.perplexity import logits_of, next_token_loss, perplexity, texts_of
from ml.models.network import Network, mean_loss
from ml.train.command import new_model
from tests.ml.families import SMALL


@pytest.fixture
def model():
    return new_model(7, **SMALL)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(model, ids):
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()
    found = perplexity(model, ids)
    assert found == pytest.approx(SMALL["vocab_size"], rel=1e-5)


def test_mean_loss_weighs_every_text_the_same(model, ids):
    network = Network(model, torch.float32)
    each = [mean_loss(network, text[None]) for text in ids]
    assert mean_loss(network, ids) == pytest.approx(sum(each) / len(each), rel=1e-5)
    logits = logits_of(model, ids[:, :-1])
    whole = next_token_loss(logits, ids[:, 1:]).item()
    assert mean_loss(network, ids) == pytest.approx(whole, rel=1e-5)


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


def test_the_layer_that_stops_being_finite_is_named(model, ids):
    with torch.no_grad():
        model.transformer.h[1].mlp.c_fc.weight[0, 0] = float("nan")
    with pytest.raises(
        ModelError, match=r"^transformer\.h\.1\.mlp\.c_fc: its output is not finite"
    ):
        perplexity(model, ids)
