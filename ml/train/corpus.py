"""Public-domain text: fetched, cleaned, deduplicated and split, always the same way.

Each source is cut into 50 contiguous blocks at line ends. Blocks 12 and 37 of every source are
held out (perplexities are reported on them, nothing is ever chosen by them), blocks 5 and 30 are
for validation (the best step of a training is chosen by them), the rest is for training.
"""

import argparse
import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from common.errors import run_command
from common.files import MOST_BYTES, read_text, scratch_folder, write_bytes
from common.records import Record
from common.strict_json import parse_json
from ml.train.sources import SOURCES, Source

BLOCKS = 50
HELD_OUT_BLOCKS = (12, 37)
VALIDATION_BLOCKS = (5, 30)
SHINGLE_WORDS = 8
CACHE = Path("build/corpus")
PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "—": "--", "–": "-", "\t": " "})


@dataclass(frozen=True)
class Corpus:
    """The three splits: for each the text of every source, by its name."""

    train: dict[str, str]
    validation: dict[str, str]
    heldout: dict[str, str]

    def digest(self) -> str:
        """SHA-256 over all splits: names the exact text a model was trained on."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()


class _Splits(Record):
    """A `Corpus` as its file has it."""

    train: dict[str, str]
    validation: dict[str, str]
    heldout: dict[str, str]


def clean(text: str) -> str:
    """Plain ASCII quotes and dashes, no control or exotic characters, no italics marks."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").translate(PLAIN)
    text = re.sub(r"[^\n\x20-\x7e]", "", text).replace("_", "")
    return re.sub(r" {2,}", " ", text)


def shingles(paragraph: str) -> set[tuple[str, ...]]:
    """All runs of eight words, lower case and without punctuation."""
    words = re.findall(r"[a-z]+", paragraph.lower())
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


def deduplicate(paragraphs: Iterable[str], seen: set[tuple[str, ...]]) -> list[str]:
    """Drop a paragraph when half of its eight-word runs occurred before; `seen` grows."""
    kept = []
    for paragraph in paragraphs:
        runs = shingles(paragraph)
        if len(runs & seen) * 2 > len(runs):
            continue
        seen |= runs
        kept.append(paragraph)
    return kept


def split(text: str) -> dict[str, str]:
    """Contiguous blocks of nearly equal length, cut at line ends, each whole in one split."""
    cuts = [text.find("\n", len(text) * i // BLOCKS) + 1 for i in range(1, BLOCKS)]
    bounds = [0, *cuts, len(text)]
    parts = {"train": "", "validation": "", "heldout": ""}
    for block, (start, end) in enumerate(pairwise(bounds)):
        held = "heldout" if block in HELD_OUT_BLOCKS else "train"
        parts["validation" if block in VALIDATION_BLOCKS else held] += text[start:end]
    return parts


def build(folder: Path, sources: Iterable[Source] = SOURCES) -> Corpus:
    """Fetch and prepare every source below `folder`. Raises CorpusError."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = Corpus({}, {}, {})
    seen: set[tuple[str, ...]] = set()
    for source in sources:
        paragraphs = [p for doc in source.read(folder) for p in clean(doc).split("\n\n") if p]
        text = "\n\n".join(deduplicate(paragraphs, seen)) + "\n"
        for part, blocks in split(text).items():
            getattr(corpus, part)[source.name] = blocks
    return corpus


def load(cache: Path = CACHE) -> Corpus:
    """The corpus from the cache, built first where the cache is empty.

    Raises CorpusError, and ArtefactError for a file in the cache that is damaged.
    """
    path = cache / "corpus.json"
    if not path.exists():
        with scratch_folder(cache, "fetched-") as scratch:
            corpus = build(scratch)
        write_bytes(path, json.dumps(vars(corpus)).encode())
    text = read_text(path, MOST_BYTES)
    return Corpus(**_Splits.of(parse_json(text, str(path)), path).model_dump())


def main(argv: list[str] | None = None) -> int:
    """Command line: fetch the corpus and print the size of every split."""
    parser = argparse.ArgumentParser(prog="ml.train.corpus", description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the cached text")
    parser.add_argument("--refresh", action="store_true", help="fetch everything again")
    options = parser.parse_args(argv)
    if options.refresh:
        shutil.rmtree(options.cache, ignore_errors=True)
    corpus = load(options.cache)
    print(f"{'source':12} {'train':>10} {'validation':>10} {'held out':>10}  characters")
    for name in corpus.train:
        sizes = (len(part[name]) for part in (corpus.train, corpus.validation, corpus.heldout))
        print(f"{name:12} " + " ".join(f"{size:10,}" for size in sizes))
    print(f"sha256 {corpus.digest()}")
    return 0


if __name__ == "__main__":
    run_command(main)
