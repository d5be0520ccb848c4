"""Text of one's own to evaluate on: each *.txt file of a folder is a kind of text.

Without a folder there is one kind, the project's held-out text.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from common.files import sha256
from ml.errors import CorpusError, SettingError
from ml.evaluate.perplexity import texts_of
from ml.evaluate.table import HELDOUT


class Kinds(NamedTuple):
    """tensors: texts [n, T + 1] of each kind, by its name; about: what a report says of them."""

    tensors: dict[str, Tensor]
    about: dict[str, Any]


def read_utf8(file: Path) -> str:
    """The text of a file. Raises CorpusError where it is not UTF-8."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file}: not UTF-8 text (byte {error.start})") from error


def text_files(folder: Path) -> list[Path]:
    """The *.txt files of a folder by their names. Raises CorpusError where there is none."""
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; give one with *.txt files")
    files = sorted(file for file in folder.glob("*.txt") if file.is_file())
    if not files:
        raise CorpusError(f"{folder}: has no *.txt file; each is a kind of text to evaluate on")
    return files


def heldout_kind(ids: Tensor, context: int, limit: int) -> Kinds:
    """The held-out text [tokens] as the only kind, at most `limit` texts of it."""
    texts = texts_of(ids, context, limit)
    return Kinds({HELDOUT: texts}, {"tokens": texts[:, 1:].numel(), "context": context})


def own_kinds(folder: Path, encode: Callable[[str], Tensor], context: int, limit: int) -> Kinds:
    """At most `limit` texts of every *.txt file of `folder`, evenly spread over it.

    encode: a text as ids [tokens]. Raises CorpusError for a folder without text and for a file that
    is not UTF-8, SettingError for one that is too short for one text.
    """
    tensors, about = {}, {}
    for file in text_files(folder):
        ids = encode(read_utf8(file))
        if len(ids) <= context:
            raise SettingError(
                f"{file}: has {len(ids)} tokens, needs {context + 1} or more: one text of "
                f"{context} and the token that follows"
            )
        texts = tensors[file.stem] = texts_of(ids, context, limit)
        tokens = texts[:, 1:].numel()
        about[file.stem] = {"file": str(file), "sha256": sha256(file), "tokens": tokens}
    total = sum(entry["tokens"] for entry in about.values())
    return Kinds(tensors, {"tokens": total, "context": context, "texts": about})
