"""Perplexity of a language model on a text, in texts of one context length."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ml.errors import SettingError
from ml.model import next_token_loss

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
    numbers = partial(torch.arange, device=tokens.device)
    chosen = numbers(count)
    if limit is not None and limit < count:
        chosen = numbers(limit) * count // limit
    return tokens[chosen[:, None] * context + numbers(context + 1)].long()


@torch.no_grad()
def mean_loss(
    logits_of: Callable[[Tensor], Tensor],
    texts: Tensor,
    batch: int = EVALUATION_BATCH,
    tell: Callable[[int], None] = lambda _: None,
) -> float:
    """Mean next-token loss (nats) over `texts` [n, context + 1].

    logits_of: a language model, ids [B, T] -> [B, T, vocabulary]. `tell` hears after each batch
    how many texts are done.
    """
    total, done = 0.0, 0
    for part in texts.split(batch):
        total += float(next_token_loss(logits_of(part[:, :-1]), part[:, 1:])) * len(part)
        done += len(part)
        tell(done)
    return total / len(texts)


def perplexity(logits_of: Callable[[Tensor], Tensor], texts: Tensor, **options: Any) -> float:
    """Exp of `mean_loss`; every position of every text counts the same."""
    return math.exp(mean_loss(logits_of, texts, **options))
