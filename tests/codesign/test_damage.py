"""What imperfections change: nothing where there are none."""

from dataclasses import replace

import pytest
import torch

from analog_models.spec import overlaid
from codesign.closed_loop import ClosedLoop, Sampler, generate
from codesign.damage import damage
from codesign.heads import GoldenHeads
from ml.evaluate.perplexity import perplexity
from tests.codesign.conftest import CONTEXT, VOCABULARY

PROMPT, ADDED = 6, 8


@pytest.fixture
def texts() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(VOCABULARY, (3, CONTEXT + 1), generator=generator)


def damage_of(model, feed, ids, texts):
    """The text that the hardware of `feed` adds to the prompt, and its damage."""
    loop = ClosedLoop(model, GoldenHeads(feed))
    added = [*generate(loop.predict, ids[:PROMPT], ADDED, Sampler())]
    text = torch.cat([ids[:PROMPT], torch.tensor(added)])
    return added, damage(model, feed, text, PROMPT, Sampler(), texts)


def test_ideal_hardware_does_none(feed, ids, texts, model):
    added, found = damage_of(model, feed, ids, texts)
    assert found.ideal == added and found.changed == 0 and found.first is None
    assert found.perplexity == found.ideal_perplexity == perplexity(model, texts)
    assert found.ratio == 1 and found.tokens == 3 * CONTEXT


def test_imperfect_hardware_is_compared_with_ideal(model, feed, ids, texts):
    ideal, before = damage_of(model, feed, ids, texts)
    imperfect = replace(feed, spec=overlaid(feed.spec, "typical"))
    added, found = damage_of(model, imperfect, ids, texts)
    differ = [a != b for a, b in zip(ideal, added, strict=True)]
    assert found.ideal == ideal and found.changed == sum(differ) > 0
    assert found.first == differ.index(True)
    assert found.ideal_perplexity == before.perplexity != found.perplexity
    assert found.result()["perplexity_ratio"] == found.perplexity / before.perplexity
