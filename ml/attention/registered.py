"""Gain-cell attention under the name `gaincell` in the attention registry of transformers.

The model's own code computes q, k and v, rotary positions included; the function here gets them
with the attention module, whose `heads` are the hardware. Sequences of a batch that start later
(left padding) are moved to the start of their window and back, so that padding changes nothing.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, causal_mask_function
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ml.attention.cache import CODES
from ml.attention.heads import GainCellHeads
from ml.attention.padding import aligned, restored, starts_of
from ml.errors import ModelError

NAME = "gaincell"


def gaincell_mask(
    mask_function: Any = causal_mask_function,
    attention_mask: Tensor | None = None,
    kv_offset: int = 0,
    **_: Any,
) -> Tensor | None:
    """What transformers calls to make the mask: `starts_of`, counted from the first token kept.

    Raises ModelError for anything but causal attention.
    """
    if mask_function is not causal_mask_function:
        raise ModelError(
            "the model asks for attention that is not plainly causal (packed sequences, a sliding "
            "window or the like): the hardware has its own window; give sequences row by row"
        )
    starts = starts_of(attention_mask)
    return None if starts is None else starts - kv_offset


def gaincell_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer: query [B, Hq, T, D], key and value [B, Hkv, T, D] -> [B, T, Hq, D].

    attention_mask: what `gaincell_mask` made, [B]. The softmax's scaling is no part of the
    hardware. Raises ModelError for dropout and for any other mask.
    """
    heads = getattr(module, "heads", None)
    if not isinstance(heads, GainCellHeads):
        raise ModelError(f"{type(module).__name__} has no gain-cell heads: use ml.models.convert")
    if dropout:
        raise ModelError(f"attention dropout is {dropout}: the hardware has none, set it to 0")
    if attention_mask is not None and attention_mask.dim() != 1:
        raise ModelError(
            f"attention mask of shape {tuple(attention_mask.shape)}: allowed is a padding mask "
            "[batch, token]"
        )
    if key.dtype == CODES:
        with torch.no_grad():
            out = _cached(heads, query, key, value, attention_mask)
        if torch.is_grad_enabled():
            out: Tensor = _NoGradient.apply(out, query)  # pyright: ignore[reportAssignmentType]
    elif key.shape[-2] != query.shape[-2]:
        raise ModelError(
            f"{key.shape[-2]} keys for {query.shape[-2]} queries: the cache is not a CodeCache of "
            "ml.attention.cache; leave it out or give one"
        )
    elif attention_mask is None:  # the module as a whole, where hooks may watch its signals
        return heads(query, key, value).transpose(1, 2), None
    else:
        out = heads.counts(*aligned(heads.codes(query, key, value), attention_mask))
        out = restored(out, attention_mask)
    return heads.decode(out).to(query.dtype).transpose(1, 2), None


class _NoGradient(torch.autograd.Function):
    """Codes as they are, and an error where a gradient asks for the way back to the query."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, query: Tensor) -> Tensor:
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None]:
        raise ModelError(
            "a cache of codes has no gradients: give the forward pass whose gradients you want "
            "use_cache=False, and no cache"
        )


def _cached(
    heads: GainCellHeads, query: Tensor, k: Tensor, v: Tensor, starts: Tensor | None
) -> Tensor:
    """Output codes of the last tokens [B, Hq, t, D]; k and v: codes of all that are kept."""
    if starts is not None:  # that of a token which is forgotten: one in the same slot
        window = heads.spec.geometry.window
        starts = torch.where(starts < 0, starts % window, starts)
    return heads.latest_counts(heads.encode("q", query), k, v, starts)


ALL_ATTENTION_FUNCTIONS.register(NAME, gaincell_attention)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, gaincell_mask)
