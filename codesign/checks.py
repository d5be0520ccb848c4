"""Comparison of a text that was made in the closed loop with what a reference makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codesign.closed_loop import ClosedLoop, generate
from codesign.heads import Heads
from ml.small.golden import codes_of
from ml.small.hardware_attention import SIGNALS, Codes
from ml.small.model import LanguageModel

__all__ = ["Check", "against_all_at_once", "against_heads"]

Choose = Callable[[Tensor], int]


@dataclass(frozen=True)
class Check:
    """How much differs from a reference.

    tokens_differing: of the new ones. codes: of q, k, v and output that were compared, in all heads
    of all layers, as far as the texts agree. first: the first code that differs, in words.
    """

    reference: str
    tokens_differing: int
    codes: int
    mismatches: int
    first: str | None

    @property
    def equal(self) -> bool:
        return not self.tokens_differing and not self.mismatches

    def result(self) -> dict[str, Any]:
        return dict(vars(self))


def against_all_at_once(
    model: LanguageModel, ids: Tensor, prompt: int, codes: Codes, choose: Choose
) -> Check:
    """Compare with the torch model, which sees the whole text [T] at once.

    If it chooses the same token after every beginning of the text, then alone it writes that text.
    prompt: tokens that were given.
    """
    with torch.no_grad():
        logits = model(ids[None, :-1])[0, prompt - 1 :]
    wrong = sum(choose(x) != int(token) for x, token in zip(logits, ids[prompt:], strict=True))
    return _check("torch, all tokens at once", wrong, codes, codes_of(model, ids[:-1])[0])


def against_heads(
    model: LanguageModel, heads: Heads, ids: Tensor, prompt: int, codes: Codes, choose: Choose
) -> Check:
    """Compare with the text [T] that the model writes with other heads; `model` is changed."""
    loop = ClosedLoop(model, heads)
    new = torch.tensor([*generate(loop.predict, ids[:prompt], len(ids) - prompt, choose)])
    wrong = new != ids[prompt:]
    alike = prompt + int(torch.cat([wrong, torch.tensor([True])]).int().argmax())
    beginnings = (Codes(*(x[:, :, :alike] for x in each)) for each in (codes, loop.codes))
    return _check("numpy, token by token", int(wrong.sum()), *beginnings)


def _check(reference: str, tokens_differing: int, codes: Codes, expected: Codes) -> Check:
    """Count the codes [layer, head, token, d] that differ, and find the first of them."""
    got, wanted = (torch.stack(x).permute(3, 1, 0, 2, 4) for x in (codes, expected))
    wrong = (got != wanted).nonzero()
    first = None
    if len(wrong):
        place = token, layer, signal, head, dimension = tuple(wrong[0].tolist())
        first = (
            f"token {token}, layer {layer}, head {head}, dimension {dimension} of "
            f"{SIGNALS[signal]}: got {int(got[place])}, expected {int(wanted[place])}"
        )
    return Check(reference, tokens_differing, got.numel(), len(wrong), first)
