"""The text that a pretrained model is adapted on, as its own tokens."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from common.errors import shown
from ml.checkpoint import check_tokens, load_tensors, save_tensors
from ml.errors import CorpusError
from ml.evaluate.kinds import read_utf8
from ml.models.reading import reading
from ml.train import corpus, heldout
from ml.train import tokenizer as shipped_tokenizer

CORPUS = "corpus"
PARTS = ("train", "validation", "heldout")
END_OF_TEXT = "<|endoftext|>"  # between documents of a pretraining; chat models end turns otherwise


PROBE = "The 1st: 'tis\n\n  un-cut  text, naïvely   α✓ spaced.\tDon't;\r\nend"


@dataclass(frozen=True)
class Text:
    """Token ids of the splits, int32 [tokens] each, and the digest that names the text."""

    train: Tensor
    validation: Tensor
    heldout: Tensor
    digest: str


def read(source: str, cache: Path = corpus.CACHE) -> corpus.Corpus:
    """The project's own corpus for "corpus", else the *.txt files of a folder, or one file.

    Each file is cut into blocks of which some are held out, as `ml.train.corpus` says. Raises
    CorpusError.
    """
    if source == CORPUS:
        return corpus.load(cache)
    path = Path(source)
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise CorpusError(f"{source}: no text; give {CORPUS!r}, a file, or a folder of *.txt files")
    found = corpus.Corpus({}, {}, {})
    for file in files:
        for part, block in corpus.split(read_utf8(file)).items():
            getattr(found, part)[file.name] = block
    return found


def encode(source: corpus.Corpus, tokenizer: PreTrainedTokenizerBase, cache: Path) -> Text:
    """Tokens of every split, an end-of-text token behind each source; kept in `cache`."""
    vocabulary = sorted(tokenizer.get_vocab().items())
    described = f"{source.digest()} {END_OF_TEXT} {vocabulary}"
    digest = hashlib.sha256(described.encode()).hexdigest()
    path = cache / f"tokens-{digest[:16]}.safetensors"
    # Tokenizers of one vocabulary may still cut text differently.
    about = {"kind": "tokens", "digest": digest, "probe": token_ids(tokenizer, PROBE)}
    if not path.exists() or load_tensors(path)[1] != about:
        parts = {part: ids_of(getattr(source, part), tokenizer) for part in PARTS}
        save_tensors(path, parts, about)
    tensors, _ = load_tensors(path)
    check_tokens(tensors, PARTS, path)
    return Text(*(tensors[part] for part in PARTS), digest=digest)


def check_ids(ids: Tensor, tokenizer: Any, model: PreTrainedModel) -> None:
    """Raise CorpusError unless the ids [tokens] of a text are in the vocabulary of `model`."""
    where, size = getattr(tokenizer, "name_or_path", "tokenizer"), model.config.vocab_size
    if len(ids) and (worst := int(ids.max())) >= size:
        token = shown(tokenizer.convert_ids_to_tokens(worst))
        raise CorpusError(
            f"{where}: its tokenizer has token {token} with id {worst}, but the model's vocabulary "
            f"ends at {size - 1} (vocab_size = {size} in its config.json)"
        )


def token_ids(tokenizer: Any, text: str, special: bool = False) -> list[int]:
    """Ids of a text, with the `special` tokens that the tokenizer puts around it or without.

    Raises ArtefactError for a tokenizer that has nothing for a part of the text.
    """
    with reading(getattr(tokenizer, "name_or_path", "tokenizer"), "tokenizer"):
        return tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]


def ids_of(texts: dict[str, str], tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Ids of all texts, int32 [tokens], an end-of-text token behind each."""
    ids: list[int] = []
    end: Any = tokenizer.get_vocab().get(END_OF_TEXT, tokenizer.eos_token_id)
    for text in texts.values():
        ids += token_ids(tokenizer, text)
        if end is not None:
            ids.append(end)
    return torch.tensor(ids, dtype=torch.int32)


def heldout_ids(pretrained: PreTrainedTokenizerBase) -> Tensor:
    """The project's held-out text [tokens] as a tokenizer has it, end of text behind a source."""
    ours, parts = shipped_tokenizer.load(), heldout.load()
    texts = {name: ours.decode(parts[name].tolist()) for name in sorted(parts)}
    return ids_of(texts, pretrained)
