"""Perplexity of a language model on a text, in texts of one context length."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from ml.errors import ModelError, SettingError
from ml.models.network import Network, mean_loss

TOKENS = 4096  # of a batch. Noise is drawn batch by batch: figures with noise depend on it


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


def perplexity_of(loss: float) -> float:
    """Exp of a mean loss (nats). Raises ModelError where no number is large enough."""
    try:
        return math.exp(loss)
    except OverflowError as error:
        raise ModelError(f"mean loss is {loss:.0f} nats: no number can hold its exp") from error


def perplexity(
    model: PreTrainedModel, texts: Tensor, tell: Callable[[int], None] = lambda _: None
) -> float:
    """Exp of the mean loss of a model of transformers, every position of every text the same.

    texts: [n, T + 1]. `tell` hears how many are done. Raises ModelError where a value is not
    finite, and names the layer.
    """
    return perplexity_of(mean_loss(Network(model, torch.float32), texts, tell=tell, tokens=TOKENS))
