"""A model whose attention is computed outside, some tokens at a time, is the model."""

import pytest
import torch

from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.heads import GoldenHeads
from ml.small.golden import codes_of
from ml.small.hardware_attention import SIGNALS
from tests.codesign.conftest import tiny_model


@pytest.fixture
def loop(spec, feed) -> ClosedLoop:
    return ClosedLoop(tiny_model(spec), GoldenHeads(feed))


@pytest.mark.parametrize("stretches", [[24], [7, 1, 1, 12, 3]])
def test_codes_and_logits_are_those_of_all_tokens_at_once(loop, model, ids, stretches):
    logits = [loop.predict(part) for part in ids.split(stretches)]
    ends = torch.tensor(stretches).cumsum(0) - 1
    assert torch.allclose(torch.stack(logits), model(ids[None])[0, ends], rtol=1e-12)
    expected, _ = codes_of(model, ids)
    for name in SIGNALS:
        assert torch.equal(getattr(loop.codes, name), getattr(expected, name)), name
    assert expected.out.abs().max() > 5 and expected.q.std() > 2  # there is something to compare


def test_the_likeliest_token_is_fed_back(loop, model, ids):
    prompt = ids[:5]
    added = [*generate(loop.predict, prompt, 4, Sampler())]
    text = prompt.tolist()
    for token in added:
        assert token == int(model(torch.tensor([text]))[0, -1].argmax())
        text.append(token)
    assert loop.codes.q.shape[2] == len(text) - 1  # nobody asks what follows the last one
    assert len(set(added)) > 1


def test_a_sampler_is_as_random_as_its_seed_and_temperature_say():
    logits = torch.tensor([1.0, 2.0, 1.5, -9.0])

    def draws(*options):
        choose = Sampler(*options)
        return [choose(logits) for _ in range(200)]

    assert draws(0.0, 1) == [1] * 200 == draws(0.01, 1)
    assert draws(1.0, 1) == draws(1.0, 1) != draws(1.0, 2)
    assert set(draws(1.0, 1)) == {0, 1, 2}
