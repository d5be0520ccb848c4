"""Models in folders on this machine. A hub is asked only where the user says so."""

from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from common.errors import ArtefactError, shown
from ml.models.config_file import check_folder, check_tokenizer_settings, read_object
from ml.models.families import FAMILIES, GainCellModel
from ml.models.reading import reading
from ml.models.weights import load_whole

BASES = {base.config_class.model_type: base for base in FAMILIES if base.config_class}
CONVERTED = {model.config_class.model_type: model for model in FAMILIES.values()}
TOKENIZER = "tokenizer.json"
OLDER_TOKENIZERS = (("vocab.json", "merges.txt"), ("tokenizer.model",))
TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
READ = ["*.json", "*.safetensors", "merges.txt", "tokenizer.model"]  # of a hub's model


def load_base(name: str | Path, hub: bool = False) -> PreTrainedModel:
    """A pretrained model in single precision, from a folder; with `hub` also by a hub's name.

    Raises ArtefactError for a folder that is missing or holds no whole model, ModelError for a
    model of no known family.
    """
    folder = _folder(name, hub)
    cls: Any = BASES[check_folder(folder, BASES)["model_type"]]
    with reading(name):
        config = cls.config_class.from_pretrained(folder, local_files_only=True)
    options = {"local_files_only": True, "dtype": torch.float32}
    return load_whole(cls.from_pretrained, cls, config, folder, **options)[0].eval()


def load_converted(folder: str | Path) -> GainCellModel:
    """A converted or adapted model as it was saved.

    Raises ArtefactError as `load_base`, and where the specification is missing or of other codes;
    ModelError for a model that was never converted.
    """
    path = _folder(folder, hub=False)
    cls = CONVERTED[check_folder(path, CONVERTED)["model_type"]]
    return cls.from_pretrained(path, local_files_only=True).eval()


def load_tokenizer(name: str | Path, hub: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a model: what `tokenizer.json` says, if there is one.

    transformers makes something else of that file for some names of classes in the configuration.
    Raises ArtefactError.
    """
    folder = _folder(name, hub)
    for path in (folder / file for file in TOKENIZER_SETTINGS):
        if path.exists():
            check_tokenizer_settings(path)
    whole = (folder / TOKENIZER).exists()
    if whole:
        read_object(folder / TOKENIZER)
    elif not any(all((folder / n).is_file() for n in names) for names in OLDER_TOKENIZERS):
        kinds = ", or ".join(" with ".join(names) for names in ((TOKENIZER,), *OLDER_TOKENIZERS))
        raise ArtefactError(f"{folder}: has no tokenizer: {kinds}")
    with reading(folder, "tokenizer"):
        load = (PreTrainedTokenizerFast if whole else AutoTokenizer).from_pretrained
        tokenizer = load(folder, local_files_only=True)
        own = Tokenizer.from_file(str(folder / TOKENIZER)) if whole else tokenizer
        _check_vocabulary(folder, own.get_vocab())
    return tokenizer


def _check_vocabulary(folder: Path, vocabulary: dict[str, int]) -> None:
    if not vocabulary:
        raise ArtefactError(f"{folder}: its tokenizer has no entries")
    for (one, id), (other, next_id) in pairwise(sorted(vocabulary.items(), key=itemgetter(1))):
        if id == next_id:
            names = f"{shown(one)} and {shown(other)}"
            raise ArtefactError(f"{folder}: tokens {names} both have id {id}")


def _folder(name: str | Path, hub: bool) -> Path:
    """The folder `name`, with `hub` fetched if it is none."""
    if Path(name).is_dir():
        return Path(name)
    if not hub:
        raise ArtefactError(f"{name}: no such folder (nothing is downloaded unless asked for)")
    with reading(name):
        return Path(snapshot_download(str(name), allow_patterns=READ, ignore_patterns=["*/*"]))
