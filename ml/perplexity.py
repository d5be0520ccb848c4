"""Perplexity of a language model on a text, in texts of one context length."""

import math

import torch
from torch import Tensor

from ml.errors import SettingError
from ml.model import LanguageModel, next_token_loss

EVALUATION_BATCH = 16


def texts_of(tokens: Tensor, context: int, limit: int | None = None) -> Tensor:
    """Cut `tokens` [N] into texts [n, context + 1] that share only their border token.

    With `limit` at most that many, evenly spread. Raises SettingError when there is none.
    """
    if limit is not None and limit < 1:
        raise SettingError(f"texts is {limit}, must be above 0")
    count = (len(tokens) - 1) // context
    if count < 1:
        raise SettingError(f"{len(tokens)} tokens: too few for one text of {context} tokens")
    chosen = torch.arange(count)
    if limit is not None and limit < count:
        chosen = torch.arange(limit) * count // limit
    return tokens[chosen[:, None] * context + torch.arange(context + 1)].long()


@torch.no_grad()
def mean_loss(model: LanguageModel, texts: Tensor) -> float:
    """Mean next-token loss (nats) over `texts` [n, context + 1]."""
    total = 0.0
    for batch in texts.split(EVALUATION_BATCH):
        total += float(next_token_loss(model(batch[:, :-1]), batch[:, 1:])) * len(batch)
    return total / len(texts)


def perplexity(model: LanguageModel, texts: Tensor) -> float:
    """Exp of the mean loss; every position of every text counts the same."""
    return math.exp(mean_loss(model, texts))
