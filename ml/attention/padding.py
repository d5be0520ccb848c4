"""Padding of a batch: which tokens of each sequence are real, and where they stand."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ml.errors import ModelError


def starts_of(mask: Tensor | None) -> Tensor | None:
    """Index of the first token of each sequence [B] from a padding mask [B, T]; None: all 0.

    It is T where none has come yet. Raises ModelError for a mask with a gap, which no window of
    the hardware has. Padding behind a sequence needs no mask: no token sees what comes later.
    """
    if mask is None:
        return None
    rises = (mask.int().diff(dim=-1) > 0).sum(-1)
    if bool((rises > (~mask[:, 0]).int()).any()):
        raise ModelError(
            "attention_mask hides tokens between others: the window of the hardware holds every "
            "token of a sequence; allowed is padding before and behind it"
        )
    if bool(mask[:, 0].all()):
        return None
    return torch.where(mask.any(-1), mask.int().argmax(-1), mask.shape[-1])


def aligned(signals: Iterable[Tensor], starts: Tensor | None) -> list[Tensor]:
    """Signals [B, H, T, D] of sequences that start at `starts` [B], all moved to start at 0."""
    return [x if starts is None else _moved(x, starts) for x in signals]


def restored(x: Tensor, starts: Tensor | None) -> Tensor:
    """X [B, H, T, D] as it was before `aligned`."""
    return x if starts is None else _moved(x, -starts)


def _moved(x: Tensor, by: Tensor) -> Tensor:
    """X [B, H, T, D] with each sequence moved towards its start by [B] tokens, around the end."""
    tokens = x.shape[-2]
    index = (torch.arange(tokens, device=x.device) + by[:, None]) % tokens
    return x.gather(-2, index[:, None, :, None].expand(x.shape))


def padding_mask(
    mask: Tensor | None, shape: tuple[int, int], device: torch.device
) -> Tensor | None:
    """A model's attention_mask as bool [B, token] on `device`; ModelError unless of `shape`."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor) or tuple(mask.shape) != shape:
        got = f"shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ModelError(
            f"attention mask of {got}: allowed is a padding mask [batch, token] of all tokens, "
            f"those in the cache first, {shape}"
        )
    return mask.to(device, torch.bool)


class Sequences(NamedTuple):
    """What a cache knows of the tokens that it has seen, for the next ones to go on from.

    Attributes:
        mask: [B, token] which of them are real; None: all.
        shift: [B, 1] position of a sequence's real tokens less their index; None: 0.
    """

    mask: Tensor | None = None
    shift: Tensor | None = None

    def chosen(self, rows: Tensor) -> Self:
        """Those of the sequences `rows`: indices, or a mask."""
        return type(self)(*(None if x is None else x[rows.to(x.device)] for x in self))

    def followed(
        self, seen: int, shape: tuple[int, int], mask: Tensor | None, positions: Tensor | None
    ) -> Self:
        """These after the next tokens of `shape` [B, T], `seen` tokens behind the first.

        mask: bool [B, seen + T]; positions: [B or 1, T], by default the index of each token.
        Raises ModelError unless both go on from what was seen.
        """
        mask = None if mask is None or bool(mask.all()) else mask
        starts_of(mask)  # has no gap
        old, again = (None if m is None else m[:, :seen] for m in (self.mask, mask))
        if not _equal_masks(old, again):
            raise ModelError(
                f"attention_mask says of the {seen} tokens in the cache what it did not say when "
                "they came: give that of all tokens, those in the cache first"
            )
        if positions is None and self.shift is None:
            return type(self)(mask)
        shift = self._shifts(seen, shape, positions)
        expected = self._expected(seen, shape, mask, shift)
        wrong = shift != expected
        if bool((wrong if mask is None else wrong & mask[:, seen:]).any()):
            raise ModelError(
                f"position_ids do not count on by 1 behind the {seen} tokens in the cache: leave "
                "them out, or give those that the tokens have in the whole sequence; packed "
                "sequences go row by row"
            )
        return type(self)(mask, expected)

    def _shifts(self, seen: int, shape: tuple[int, int], positions: Tensor | None) -> Tensor:
        """Position less index of each of the next tokens [B, T]; ModelError for a wrong shape."""
        if positions is None:
            assert self.shift is not None
            return self.shift.new_zeros(shape)
        if tuple(positions.shape) not in (shape, (1, shape[1])):
            raise ModelError(
                f"position_ids of shape {tuple(positions.shape)}: allowed is one for each token, "
                f"{shape}"
            )
        index = torch.arange(seen, seen + shape[1], device=positions.device)
        return (positions - index).expand(shape)

    def _expected(
        self, seen: int, shape: tuple[int, int], mask: Tensor | None, shift: Tensor
    ) -> Tensor:
        """Shift of each sequence [B, 1]: that of before, or of its first real token."""
        before = shift.new_zeros(shape[0], 1) if self.shift is None else self.shift
        if mask is None:
            return before if seen else shift[:, :1]
        first = mask[:, seen:].int().argmax(-1, keepdim=True)
        return torch.where(mask[:, :seen].any(-1, keepdim=True), before, shift.gather(1, first))


def _equal_masks(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two masks say the same; None says that all tokens are real."""
    if a is None or b is None:
        return all(x is None or bool(x.all()) for x in (a, b))
    return torch.equal(a, b)
