"""A text in the making, and what is kept of one that was interrupted."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from common.errors import ArtefactError
from common.files import write_json
from common.resume import Kept, kept_in
from ml.errors import SettingError
from ml.models.families import GainCellModel
from ml.train import heldout, tokenizer
from ml.train.own_text import check_ids, token_ids

__all__ = ["PROMPT_TOKENS", "SOURCE", "Text", "prompted"]

SOURCE = "shakespeare"
PROMPT_TOKENS = 32
OURS = 10  # of our tokens are more text than one token of any tokenizer
HALF = "\ufffd"  # what a tokenizer makes of the beginning of a character


class KeptText(Kept):
    """Ids that were added to a text so far, and seconds until each was there."""

    added: list[int]
    seconds: list[float]


@dataclass
class Text:
    """A text in the making: ids that were given, ids that were added, and when each was there."""

    bpe: PreTrainedTokenizerBase
    prompt: Tensor
    added: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _begin: float = 0.0
    _shown: int = 0  # characters

    @property
    def ids(self) -> Tensor:
        return torch.cat([self.prompt, torch.tensor(self.added, dtype=torch.int64)])

    def words(self, added: list[int]) -> str:
        """What ids that follow the prompt add to it."""
        prompt = self.prompt.tolist()
        return self._decoded(prompt + added)[len(self._decoded(prompt)) :]

    def fresh(self) -> str:
        """What has been added since the last call, as far as it is whole characters."""
        text = self.words(self.added).rstrip(HALF)
        new, self._shown = text[self._shown :], max(self._shown, len(text))
        return new

    def start(self) -> None:
        """Let the clock run."""
        self._begin = time.perf_counter()

    def add(self, token: int, known: KeptText, path: Path) -> None:
        """Add an id. Raises `ArtefactError`, naming `path`, for another one than is known."""
        place = len(self.added)
        if place < len(known.added):
            if token != known.added[place]:
                raise ArtefactError(
                    f"{path}: token {place} of the text is {known.added[place]}, but now the "
                    f"hardware writes {token}: remove the file to begin anew"
                )
            self._begin = time.perf_counter() - known.seconds[place]  # it went on from there
        self.added.append(token)
        self.seconds.append(time.perf_counter() - self._begin)

    def result(self) -> dict[str, Any]:
        """What a result file says of it."""
        return {
            "prompt": self._decoded(self.prompt.tolist()),
            "text": self.words(self.added),
            "prompt_tokens": len(self.prompt),
            "tokens": len(self.added),
        }

    def _decoded(self, ids: list[int]) -> str:
        text = self.bpe.decode(ids, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def keep(self, path: Path, identity: str) -> None:
        """Write what the same run goes on from."""
        kept = {"identity": identity, "added": self.added, "seconds": self.seconds}
        write_json(path, kept)

    def known(self, path: Path, identity: str, tokens: int) -> KeptText:
        """What an interrupted run of the same identity has kept, fewer ids than `tokens`."""
        kept = kept_in(path, KeptText, identity)
        if kept is None:
            return KeptText(identity=identity, added=[], seconds=[])
        count = min(len(kept.added), len(kept.seconds), tokens - 1)
        return KeptText(identity=identity, added=kept.added[:count], seconds=kept.seconds[:count])


def prompted(
    model: GainCellModel, bpe: PreTrainedTokenizerBase, prompt: str | None, tokens: int
) -> Text:
    """The text to go on with, None: held-out Shakespeare.

    Raises `SettingError` if it is empty or leaves too little room for so many tokens, CorpusError
    for tokens that the model does not have.
    """
    if prompt is None:
        ids = _heldout_prompt(bpe)
    else:
        ids = torch.tensor(token_ids(bpe, prompt), dtype=torch.int64)
    room = int(model.config.max_position_embeddings) + 1 - len(ids)  # the last is not fed back
    if not len(ids) or tokens > room:
        raise SettingError(
            f"prompt of {len(ids)} tokens and {tokens} to add: the prompt needs at least 1, "
            f"and the model's context takes {room + len(ids)} together"
        )
    check_ids(ids, bpe, model)
    return Text(bpe, ids)


def _heldout_prompt(bpe: PreTrainedTokenizerBase) -> Tensor:
    """The first PROMPT_TOKENS ids of held-out Shakespeare."""
    ours = heldout.load()[SOURCE][: PROMPT_TOKENS * OURS]
    text = tokenizer.load().decode(ours.tolist())
    return torch.tensor(token_ids(bpe, text)[:PROMPT_TOKENS], dtype=torch.int64)
