"""Perplexity of a language model on a text, in texts of one context length."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from ml.errors import ModelError, SettingError
from ml.finite import finite_outputs
from ml.models.network import Network
from ml.models.network import mean_loss as network_mean_loss

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


def logits_of(model: nn.Module, ids: Tensor) -> Tensor:
    """Logits [B, T, vocabulary] of a model of transformers for ids [B, T], without a cache."""
    return model(ids, use_cache=False).logits


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy (nats): logits [B, T, vocabulary], targets [B, T]."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


@torch.no_grad()
def mean_loss(
    logits_of: Callable[[Tensor], Tensor],
    texts: Tensor,
    batch: int = EVALUATION_BATCH,
    tell: Callable[[int], None] = lambda _: None,
) -> float:
    """Mean next-token loss (nats) over `texts` [n, context + 1].

    logits_of: a language model, ids [B, T] -> [B, T, vocabulary]. `tell` hears after each batch
    how many texts are done. Raises ModelError for a loss that is not finite, and where `logits_of`
    is a module with the name of the part where that began.
    """
    total, done = 0.0, 0
    for part in texts.split(batch):
        loss = float(next_token_loss(logits_of(part[:, :-1]), part[:, 1:]))
        if not math.isfinite(loss):
            if isinstance(logits_of, nn.Module):
                with finite_outputs(logits_of):
                    logits_of(part[:, :-1])
            raise ModelError("the loss is not finite: the weights of the model are damaged")
        total += loss * len(part)
        done += len(part)
        tell(done)
    return total / len(texts)


def perplexity_of(loss: float) -> float:
    """Exp of a mean loss (nats). Raises ModelError where no number is large enough."""
    try:
        return math.exp(loss)
    except OverflowError as error:
        raise ModelError(f"mean loss is {loss:.0f} nats: no number can hold its exp") from error


def perplexity(
    model: Any, texts: Tensor, tell: Callable[[int], None] = lambda _: None, **options: Any
) -> float:
    """Exp of the mean loss of a model of transformers, every position of every text the same.

    texts: [n, T + 1]. `tell` hears how many are done. Raises ModelError where a value is not
    finite, and names the layer.
    """
    if isinstance(model, PreTrainedModel):
        network = Network(model, torch.float32)
        return perplexity_of(network_mean_loss(network, texts, tell=tell))
    return perplexity_of(mean_loss(model, texts, tell=tell, **options))
