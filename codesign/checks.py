"""Comparison of a text that was made in the closed loop with what a reference makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codesign.closed_loop import ClosedLoop, generate
from codesign.heads import Heads
from ml.attention.backend import SIGNALS, Codes, Recording
from ml.attention.heads import using
from ml.models.families import GainCellModel

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


@torch.no_grad()
def against_all_at_once(
    model: GainCellModel, ids: Tensor, prompt: int, codes: Codes, choose: Choose
) -> Check:
    """Compare with the torch model, which sees the whole text [T] at once.

    If it chooses the same token after every beginning of the text, then alone it writes that text.
    prompt: tokens that were given.
    """
    recording = Recording()
    with using(model, recording):
        logits = model(ids[None, :-1], use_cache=False).logits[0, prompt - 1 :]
    wrong = sum(choose(x) != int(token) for x, token in zip(logits, ids[prompt:], strict=True))
    return _check("torch, all tokens at once", wrong, codes, recording.by_layer())


def against_heads(
    model: GainCellModel, heads: Heads, ids: Tensor, prompt: int, codes: Codes, choose: Choose
) -> Check:
    """Compare with the text [T] that the model writes with other heads."""
    loop = ClosedLoop(model, heads)
    new = torch.tensor([*generate(loop.predict, ids[:prompt], len(ids) - prompt, choose)])
    wrong = new != ids[prompt:]
    alike = prompt + int(torch.cat([wrong, torch.tensor([True])]).int().argmax())
    beginnings = (Codes(*(x[:, :, :alike] for x in each)) for each in (codes, loop.codes))
    return _check("numpy, token by token", int(wrong.sum()), *beginnings)


def _check(reference: str, tokens_differing: int, codes: Codes, expected: Codes) -> Check:
    """Count the codes [layer, head, token, d] that differ, and find the first of them."""
    wrong = [(a != b).permute(2, 0, 1, 3) for a, b in zip(codes, expected, strict=True)]
    firsts = []
    for number, signal in enumerate(wrong):
        if signal.any():
            token, layer, head, dimension = signal.nonzero()[0].tolist()
            firsts.append((token, layer, number, head, dimension))
    first = None
    if firsts:
        token, layer, number, head, dimension = min(firsts)
        got, wanted = (
            int(each[number][layer, head, token, dimension]) for each in (codes, expected)
        )
        first = (
            f"token {token}, layer {layer}, head {head}, dimension {dimension} of "
            f"{SIGNALS[number]}: got {got}, expected {wanted}"
        )
    mismatches = sum(int(signal.sum()) for signal in wrong)
    return Check(reference, tokens_differing, sum(x.numel() for x in wrong), mismatches, first)
