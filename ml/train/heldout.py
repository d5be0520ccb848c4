"""The held-out text as tokens, shipped so that tests and evaluation need no download."""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from common.errors import ArtefactError, run_command, shown
from ml.checkpoint import check_tokens, load_tensors, save_tensors
from ml.train import corpus, tokenizer

HELDOUT_FILE = Path(__file__).parents[1] / "golden" / "heldout.safetensors"


def write(text: corpus.Corpus, path: Path = HELDOUT_FILE) -> None:
    """Encode the held-out split with the shipped tokenizer, one tensor per source."""
    bpe = tokenizer.load()
    parts = {
        name: torch.from_numpy(tokenizer.encode(bpe, {name: part}))
        for name, part in text.heldout.items()
    }
    save_tensors(path, parts, {"kind": "heldout", "corpus_sha256": text.digest()})


def load(path: Path = HELDOUT_FILE) -> dict[str, Tensor]:
    """Held-out token ids of every source, int64 [tokens]. Raises ArtefactError."""
    tensors, about = load_tensors(path)
    if about.get("kind") != "heldout":
        raise ArtefactError(f"{path}: kind is {shown(about.get('kind'))}, expected 'heldout'")
    check_tokens(tensors, tensors, path, tokenizer.VOCABULARY)
    return {name: ids.long() for name, ids in tensors.items()}


def load_joined(path: Path = HELDOUT_FILE) -> Tensor:
    """All held-out token ids, source after source in the order of their names, int64 [tokens]."""
    parts = load(path)
    return torch.cat([parts[name] for name in sorted(parts)])


def main(argv: list[str] | None = None) -> int:
    """Command line: encode the held-out text anew."""
    parser = argparse.ArgumentParser(prog="ml.train.heldout", description=__doc__)
    parser.add_argument("--cache", type=Path, default=corpus.CACHE, help="cached text")
    parser.add_argument("--out", type=Path, default=HELDOUT_FILE, help="file to write")
    options = parser.parse_args(argv)
    write(corpus.load(options.cache), options.out)
    for name, ids in load(options.out).items():
        print(f"{name:12} {len(ids):8,} tokens")
    return 0


if __name__ == "__main__":
    run_command(main)
