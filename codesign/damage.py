"""What imperfections of the hardware do to a text that a model writes, and to its perplexity."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from codesign.closed_loop import ClosedLoop, generate
from codesign.heads import Feed, GoldenHeads
from ml.evaluate.imperfect import imperfect
from ml.evaluate.perplexity import perplexity
from ml.models.families import GainCellModel

__all__ = ["Damage", "damage"]


@dataclass(frozen=True)
class Damage:
    """How a text, and perplexity, change with imperfections.

    ideal: the ids that are added without them. changed: how many of these are others with them;
    first: place of the first of them, None if there is none. tokens: that the perplexities are of.
    """

    ideal: list[int]
    changed: int
    first: int | None
    ideal_perplexity: float
    perplexity: float
    tokens: int

    @property
    def ratio(self) -> float:
        return self.perplexity / self.ideal_perplexity

    def result(self) -> dict[str, Any]:
        return {**vars(self), "perplexity_ratio": self.ratio}


def damage(
    model: GainCellModel,
    feed: Feed,
    ids: Tensor,
    prompt: int,
    choose: Callable[[Tensor], int],
    texts: Tensor,
) -> Damage:
    """Compare a text [T] that was written on the imperfect hardware of `feed` with an ideal one.

    prompt: tokens of the text that were given. texts: [n, T + 1] for the perplexity, on the same
    pieces of hardware.
    """
    ideal_feed = replace(feed, spec=feed.spec.ideal)
    loop = ClosedLoop(model, GoldenHeads(ideal_feed))
    ideal = [*generate(loop.predict, ids[:prompt], len(ids) - prompt, choose)]
    places = (torch.tensor(ideal) != ids[prompt:]).nonzero().flatten().tolist()
    before = perplexity(model, texts)
    with imperfect(model, feed.spec, torch.Generator().manual_seed(feed.seed)):
        after = perplexity(model, texts)
    first = places[0] if places else None
    return Damage(ideal, len(places), first, before, after, texts[:, 1:].numel())
