"""The text that a pretrained model is adapted on, as its own tokens."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ml import corpus
from ml.checkpoint import load_tensors, save_tensors
from ml.errors import CorpusError
from ml.kinds import read_utf8

CORPUS = "corpus"
PARTS = ("train", "validation", "heldout")
END_OF_TEXT = "<|endoftext|>"  # between documents of a pretraining; chat models end turns otherwise


@dataclass(frozen=True)
class Text:
    """Token ids of the splits, int32 [tokens] each, and the digest that names the text."""

    train: Tensor
    validation: Tensor
    heldout: Tensor
    digest: str


def read(source: str, cache: Path = corpus.CACHE) -> corpus.Corpus:
    """The project's own corpus for "corpus", else the *.txt files of a folder, or one file.

    Each file is cut into blocks of which some are held out, as `ml.corpus` says. Raises
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
    if not path.exists():
        parts = {part: ids_of(getattr(source, part), tokenizer) for part in PARTS}
        save_tensors(path, parts, {"kind": "tokens", "digest": digest})
    tensors, _ = load_tensors(path)
    return Text(*(tensors[part] for part in PARTS), digest=digest)


def ids_of(texts: dict[str, str], tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Ids of all texts, int32 [tokens], an end-of-text token behind each."""
    ids: list[int] = []
    end: Any = tokenizer.get_vocab().get(END_OF_TEXT, tokenizer.eos_token_id)
    for text in texts.values():
        ids += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if end is not None:
            ids.append(end)
    return torch.tensor(ids, dtype=torch.int32)
