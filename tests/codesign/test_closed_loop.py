"""A model whose attention is computed outside, some tokens at a time, is the model."""

import pytest
import torch

from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.heads import GoldenHeads
from ml.attention.backend import DEFAULT, SIGNALS, Recording
from ml.attention.heads import heads_of, using
from ml.errors import ModelError
from tests.codesign.conftest import GROUP, feed_of, tiny_model


@pytest.fixture(params=["llama", "gpt2"])
def model(request, spec):
    return tiny_model(spec, request.param)


@pytest.fixture
def loop(spec, model) -> ClosedLoop:
    group = GROUP if model.config.model_type.endswith("llama") else 1
    return ClosedLoop(model, GoldenHeads(feed_of(spec, group)))


@pytest.mark.parametrize("stretches", [[24], [7, 1, 1, 12, 3]])
def test_codes_and_logits_are_those_of_all_tokens_at_once(loop, model, ids, stretches):
    logits = torch.cat([loop.predict(part) for part in ids.split(stretches)])
    recording = Recording()
    with using(model, recording):
        expected = model(ids[None], use_cache=False).logits[0]
    assert torch.allclose(logits, expected, rtol=1e-12)
    for name in SIGNALS:
        got, wanted = (getattr(codes, name) for codes in (loop.codes, recording.by_layer()))
        assert torch.equal(got.double(), wanted), name
    assert loop.codes.out.abs().max() > 5 and loop.codes.q.double().std() > 2  # they are lively


def test_the_likeliest_token_is_fed_back(loop, model, ids):
    prompt = ids[:5]
    added = [*generate(loop.predict, prompt, 4, Sampler())]
    text = prompt.tolist()
    for token in added:
        assert token == int(model(torch.tensor([text])).logits[0, -1].argmax())
        text.append(token)
    assert loop.codes.q.shape[2] == len(text) - 1  # nobody asks what follows the last one
    assert len(set(added)) > 1
    assert all(heads.backend is DEFAULT for heads in heads_of(model))  # the loop's is gone


def test_transformers_generate_runs_on_heads_outside(loop, model, ids):
    """The backend of a loop serves `generate` of transformers as well."""
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    expected = model.generate(ids[None, :5], **options)
    with using(model, loop.backend):
        assert torch.equal(model.generate(ids[None, :5], **options), expected)
        assert loop.codes.q.shape[2] == 8
        with pytest.raises(ModelError, match="one text at a time"):
            model(ids[:8].view(2, 4))


@pytest.mark.parametrize("at_once", [True, False])
def test_an_interrupted_text_goes_on(spec, model, loop, ids, at_once):
    group = GROUP if model.config.model_type.endswith("llama") else 1
    whole = [*generate(loop.predict, ids[:5], 6, Sampler(1.0))]
    calls = []
    again = ClosedLoop(model, GoldenHeads(feed_of(spec, group)))

    def predict(new):
        calls.append(len(new))
        return again.predict(new)

    text = generate(predict, ids[:5], 6, Sampler(1.0), known=whole[:3], at_once=at_once)
    assert [*text] == whole
    assert calls == [8, 1, 1] if at_once else [5, 1, 1, 1, 1, 1]
    assert all(torch.equal(*pair) for pair in zip(loop.codes, again.codes, strict=True))


def test_a_sampler_is_as_random_as_its_seed_and_temperature_say():
    logits = torch.tensor([1.0, 2.0, 1.5, -9.0])

    def draws(*options):
        choose = Sampler(*options)
        return [choose(logits) for _ in range(200)]

    assert draws(0.0, 1) == [1] * 200 == draws(0.01, 1)
    assert draws(1.0, 1) == draws(1.0, 1) != draws(1.0, 2)
    assert set(draws(1.0, 1)) == {0, 1, 2}
