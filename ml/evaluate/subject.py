"""What a tool is asked to measure: an adapted model by its name, and held-out text for it."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from analog_models.spec import HardwareSpec, find_spec
from common.errors import ArtefactError
from common.files import sha256
from ml.attention.backend import FAST
from ml.attention.heads import heads_of, use
from ml.evaluate.perplexity import texts_of
from ml.models.families import GainCellModel
from ml.models.shipped import DELTAS, SHIPPED, SMOLLM2, find_model
from ml.train.own_text import check_ids, heldout_ids

CONTEXT = 512  # tokens of a text, at most
EXACT = "exact, float64"
ON_FAST_KERNEL = "fast kernel, float32: of 10^5 codes 2 differ from the exact ones"
MODEL_HELP = "shipped, smollm2, or the folder of an adapted model (shipped)"


class Subject(NamedTuple):
    """An adapted model in single or double precision, its tokenizer, and its name for a command."""

    name: str
    model: GainCellModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def title(self) -> str:
        """What a plot calls it."""
        return "Shipped model" if self.name == SHIPPED else self.label

    @property
    def label(self) -> str:
        """One word, as `label_of` has it."""
        return label_of(self.name)

    @property
    def spec(self) -> HardwareSpec:
        """The hardware that it was adapted to."""
        return self.model.config.spec

    @property
    def attention(self) -> str:
        """How ideal hardware is computed."""
        return EXACT if self.model.dtype == torch.float64 else ON_FAST_KERNEL

    @property
    def weights(self) -> dict[str, str]:
        """File or folder of the weights, and their SHA-256; of several files, of their SHA-256."""
        path = DELTAS["cubic"] if self.name == SMOLLM2 else Path(str(self.model.name_or_path))
        if path.is_file():
            return {"file": path.name, "sha256": sha256(path)}
        name = path.name if self.name == SHIPPED else str(path)
        first, *others = (sha256(file) for file in sorted(path.glob("*.safetensors")))
        whole = hashlib.sha256("".join([first, *others]).encode()).hexdigest()
        return {"file": name, "sha256": whole if others else first}

    def below(self, folder: Path) -> Path:
        """Where its results go: the shipped model's into a command's own `folder`."""
        return folder if self.name == SHIPPED else folder / self.label

    def texts(self, count: int) -> Tensor:
        """At most `count` held-out texts [n, T + 1], evenly spread, of at most CONTEXT tokens.

        Raises CorpusError for tokens beyond the vocabulary.
        """
        return heldout_texts(self.model, self.tokenizer, context_of(self.model), count)


def label_of(name: str) -> str:
    """The name of a model in one word: a folder of ml.adapt by its own, not by `model` in it."""
    path = Path(name).resolve()
    return path.parent.name if path.name == "model" else path.name


def find_subject(name: str, hardware: str | None = None) -> Subject:
    """The adapted model `name`, as `find_model` has it, for evaluation.

    One in single precision runs on the fast kernel, one in half precision becomes single. hardware:
    a preset or file that it must have been adapted to; None: its own. Raises ArtefactError for
    another one, and as `find_model`.
    """
    disable_progress_bar()  # of transformers, for loading
    found = find_model(name)
    model = evaluated(found.model)
    if hardware is not None:
        spec = find_spec(hardware)
        check_hardware(model, spec, name)
        model.config.spec = spec
        for heads in heads_of(model):
            heads.spec = spec
    return Subject(name, model, found.tokenizer)


def check_hardware(model: GainCellModel, spec: HardwareSpec, name: str | Path) -> None:
    """Raise ArtefactError unless the model `name` was adapted to the codes of `spec`."""
    own = model.config.codes_hash
    if spec.codes_hash != own:
        raise ArtefactError(
            f"{name}: adapted to a specification of codes {own}, but {spec.name} has "
            f"{spec.codes_hash}"
        )


def evaluated(model: GainCellModel) -> GainCellModel:
    """`model` itself in at least single precision, there on the fast kernel, ready to measure."""
    if model.dtype != torch.float64:
        model = model.float()
        use(model, FAST)
    return model.eval().requires_grad_(False)


def context_of(model: PreTrainedModel) -> int:
    """Tokens of a text to measure on: as many as positions reach, the window holds, or CONTEXT."""
    spec: HardwareSpec | None = getattr(model.config, "spec", None)
    window = CONTEXT if spec is None else spec.geometry.window
    return min(CONTEXT, window, model.config.max_position_embeddings)


def heldout_texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, context: int, count: int
) -> Tensor:
    """At most `count` texts [n, context + 1] of the project's held-out text, evenly spread."""
    ids = heldout_ids(tokenizer)
    check_ids(ids, tokenizer, model)
    return texts_of(ids, context, count)
