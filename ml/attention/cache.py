"""The cache of generation: key and value codes, which is what the arrays hold.

A query needs the codes of its window only. Slot t mod M holds token t and which slots share a
sub-tile decides what is counted together; so the cache forgets tokens by whole windows, which
leaves the slot of every other token what it is. What would not give the codes of the parallel form
is refused.
"""

import copy
from typing import Any, Self

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from ml.attention.heads import GainCellHeads
from ml.attention.padding import Sequences, starts_of
from ml.errors import ModelError

KEPT_WINDOWS = 2  # a sequence that starts late loses the rest of its first lap: one is not enough
CODES = torch.uint8


class CodeLayer(DynamicLayer):
    """Codes of one layer, [B, Hkv, token, D], oldest first; `forgotten` tokens came before them.

    Attributes:
        spec: the hardware that the codes are for.
        record_past: whether nothing is forgotten until the next `crop`, for assisted generation.
    """

    keys: Any
    values: Any

    def __init__(self, heads: GainCellHeads) -> None:
        super().__init__()
        self.heads, self.spec = heads, heads.spec
        self.forgotten, self.record_past = 0, False

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The same codes for the same heads; no codes are ever changed in place."""
        return copy.copy(self)

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Note what the first keys are like."""
        self.dtype, self.device = key_states.dtype, key_states.device

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Encode and add keys and values [B, Hkv, T, D]; codes of all tokens that are kept.

        Raises ModelError for keys of another type, or on another device, than those before.
        """
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        elif (key_states.dtype, key_states.device) != (self.dtype, self.device):
            raise ModelError(
                f"keys are {key_states.dtype} on {key_states.device}, those in the cache were "
                f"{self.dtype} on {self.device}: their codes are not the same; start a new cache"
            )
        drop = self._forgotten_next() - self.forgotten
        k, v = (
            self.heads.encode(name, x).to(CODES)
            for name, x in (("k", key_states), ("v", value_states))
        )
        if self.is_initialized:
            k = torch.cat((self.keys[..., drop:, :], k), dim=-2)
            v = torch.cat((self.values[..., drop:, :], v), dim=-2)
        self.keys, self.values, self.forgotten = k, v, self.forgotten + drop
        self.is_initialized = True
        return k, v

    def get_seq_length(self) -> int:
        """Tokens seen so far, those that are forgotten included."""
        return self.forgotten + super().get_seq_length()

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Tokens kept after an update with so many, and tokens forgotten by then."""
        forgotten = self._forgotten_next()
        return self.get_seq_length() + query_length - forgotten, forgotten

    def activate_past_recording(self) -> None:
        """Forget nothing before a `crop`, which may then take back all that came since."""
        self.record_past = True

    def crop(self, tokens_to_remove: int, late: int = 0) -> None:
        """Take back the last tokens, `tokens_to_remove` of them as a number below 0.

        late: slots that the latest sequence of a padded batch leaves empty in its first lap.
        Raises ModelError for more tokens than there are, and where the next one needs codes that
        are forgotten.
        """
        change, seen = int(tokens_to_remove), self.get_seq_length()
        if not -seen <= change <= 0:
            raise ModelError(
                f"crop({change}): the cache has {seen} tokens; give how many to take back as a "
                f"number from {-seen} to 0"
            )
        if change == -seen:
            self.reset()
            return
        kept, needed = seen + change - self.forgotten, self.spec.geometry.window - 1 + late
        if self.forgotten and kept < needed:
            raise ModelError(
                f"crop({change}): the next token needs the codes of the {needed} before it, and "
                f"{needed - kept} of them are forgotten; take back less, or call the cache's "
                "activate_past_recording() before these tokens come"
            )
        drop = max(0, self._spare(seen + change) - self.forgotten) if self.record_past else 0
        self.keys, self.values = (x[..., drop:kept, :] for x in (self.keys, self.values))
        self.forgotten += drop

    def follow_hardware(self) -> None:
        """Raise ModelError if the heads run on hardware of other codes than those kept."""
        new = self.heads.spec
        if self.is_initialized and new is not self.spec and new.codes_hash != self.spec.codes_hash:
            raise ModelError(
                f"the cache has codes for specification {self.spec.name} ({self.spec.codes_hash}), "
                f"the model runs on {new.name} ({new.codes_hash}) now: reset it"
            )
        self.spec = new

    def reset(self) -> None:
        """Forget everything."""
        self.keys = self.values = None
        self.is_initialized, self.forgotten = False, 0

    def _forgotten_next(self) -> int:
        """Tokens forgotten once the next ones have come."""
        if self.record_past:
            return self.forgotten
        return max(self.forgotten, self._spare(self.get_seq_length()))

    def _spare(self, seen: int) -> int:
        """How many of so many tokens nobody needs any more: whole windows."""
        window = self.spec.geometry.window
        return (seen // window - KEPT_WINDOWS) * window


class CodeCache(Cache):
    """The cache of a model with gain-cell attention, from the heads of its layers.

    It is for that model, its hardware and one batch of sequences; `reset` starts others.
    """

    layers: list[Any]

    def __init__(self, heads: list[GainCellHeads]) -> None:
        super().__init__(layers=[CodeLayer(layer) for layer in heads])
        self.sequences = Sequences()

    def admit(
        self,
        heads: list[GainCellHeads],
        shape: tuple[int, int],
        mask: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> None:
        """Raise ModelError unless the next tokens go on from those that the cache has seen.

        heads: of the model that asks; shape: [B, T] of its tokens; mask: bool [B, seen + T], which
        of all tokens are real; positions: [B or 1, T].
        """
        seen = self._seen(heads)
        if seen and self.layers[0].keys.shape[0] != shape[0]:
            raise ModelError(
                f"{shape[0]} sequences for a cache of {self.layers[0].keys.shape[0]}: use its "
                "batch_repeat_interleave or batch_select_indices first, or reset it"
            )
        before = self.sequences if seen else Sequences()
        self.sequences = before.followed(seen, shape, mask, positions)

    def _seen(self, heads: list[GainCellHeads]) -> int:
        """Tokens seen by every layer; raises ModelError for a cache that is of no use here."""
        if [layer.heads for layer in self.layers] != heads:
            raise ModelError(
                "the cache belongs to another model, or to a copy of this one: give a CodeCache "
                "of its own, CodeCache(heads_of(model))"
            )
        seen = [layer.get_seq_length() for layer in self.layers]
        if len(set(seen)) > 1:
            raise ModelError(
                f"layers of the cache have seen {min(seen)} to {max(seen)} tokens, as after an "
                "interrupted forward pass: reset it"
            )
        for layer in self.layers:
            layer.follow_hardware()
        return seen[0]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let row i of the batch go on from what row `beam_idx[i]` was."""
        self.batch_select_indices(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row of the batch so many times."""
        if self.get_seq_length():
            keys: Tensor = self.layers[0].keys
            rows = torch.arange(len(keys), device=keys.device)
            self.batch_select_indices(rows.repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch, in this order; indices or a mask."""
        if self.get_seq_length():
            for layer in self.layers:
                layer.batch_select_indices(indices.to(layer.keys.device))
            self.sequences = self.sequences.chosen(indices)

    def crop(self, tokens_to_remove: int) -> None:
        """Take back the last tokens, as `CodeLayer.crop` does."""
        starts = starts_of(self.sequences.mask)
        for layer in self.layers:
            window = layer.spec.geometry.window
            layer.crop(tokens_to_remove, 0 if starts is None else int((starts % window).max()))
        if not self.get_seq_length():
            self.sequences = Sequences()

    def reset(self) -> None:
        """Forget everything; the next tokens begin sequences, of any batch size."""
        super().reset()
        self.sequences = Sequences()
