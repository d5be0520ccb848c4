"""A byte-level BPE of 2,048 entries, trained on the training split and shipped as JSON."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from common.errors import run_command
from common.files import write_bytes
from ml.errors import CorpusError
from ml.train import corpus

VOCABULARY = 2048
TOKENIZER_FILE = Path(__file__).parent / "tokenizer.json"
END_OF_TEXT = "<|end|>"  # id 0, stands between sources


def train(texts: Iterable[str]) -> Tokenizer:
    """Train on `texts`: deterministic, the same texts give the same entries."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(path: Path = TOKENIZER_FILE) -> Tokenizer:
    """The shipped tokenizer. Raises CorpusError when the file is missing or damaged."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CorpusError(f"{path}: not a tokenizer file ({error})") from error


def encode(tokenizer: Tokenizer, texts: dict[str, str]) -> np.ndarray:
    """Token ids (uint16, [tokens]) of all `texts`, each closed by the end-of-text token."""
    ids: list[int] = []
    for text in texts.values():
        ids.extend(tokenizer.encode(text).ids)
        ids.append(0)
    return np.asarray(ids, dtype=np.uint16)


def main(argv: list[str] | None = None) -> int:
    """Command line: train the tokenizer and write it as JSON."""
    parser = argparse.ArgumentParser(prog="ml.train.tokenizer", description=__doc__)
    parser.add_argument("--cache", type=Path, default=corpus.CACHE, help="folder of cached text")
    parser.add_argument("--out", type=Path, default=TOKENIZER_FILE, help="file to write")
    options = parser.parse_args(argv)
    text = corpus.load(options.cache)
    tokenizer = train(text.train.values())
    document = json.loads(tokenizer.to_str())
    write_bytes(options.out, json.dumps(document, ensure_ascii=False).encode())
    for name, part in vars(text).items():
        print(f"{name:12} {len(encode(tokenizer, part)):10,} tokens")
    return 0


if __name__ == "__main__":
    run_command(main)
