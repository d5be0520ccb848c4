"""The weights of a model's folder: whole, in safetensors, each tensor as the model has it.

transformers fills what is missing with random numbers, drops what it does not know, and reads
pickle. Names and shapes are compared before it reads a file, what it says of them afterwards.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

from common.errors import ArtefactError, GaincellError, shown
from ml.checkpoint import named
from ml.errors import one_line
from ml.finite import is_finite
from ml.models.config_file import read_object
from ml.models.reading import reading

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.ckpt", "*.pkl", ".metadata")
ADAPTER = "adapter_config.json"
FLOATS = ("F64", "F32", "F16", "BF16")
HARMLESS = re.compile(r"\.attn\.(masked_)?bias$|(^|\.)rotary_emb\.inv_freq$|(^|\.)position_ids$")
"""Buffers that files of old models have and every model computes for itself."""


class Stored(NamedTuple):
    """A tensor in a file."""

    file: Path
    name: str
    shape: tuple[int, ...]
    kind: str  # as safetensors calls it


def weight_files(folder: Path) -> dict[Path, set[str] | None]:
    """The files of weights in a folder, and which tensors each must have; None: any.

    Raises ArtefactError for a folder without them, and for pickle, which can run code.
    """
    if (folder / ADAPTER).exists():
        raise ArtefactError(
            f"{folder / ADAPTER}: an adapter is not read; merge it into its base model"
        )
    single, index = folder / SINGLE, folder / INDEX
    if single.exists() and index.exists():
        raise ArtefactError(f"{folder}: has {SINGLE} and {INDEX}: which is meant? remove one")
    if single.exists():
        return {single: None}
    if index.exists():
        return _shards(index)
    for pickled in chain.from_iterable(folder.glob(pattern) for pattern in PICKLED):
        raise ArtefactError(
            f"{pickled}: pickle, which can run code, is never read; load it where you trust it and "
            "save it again with save_pretrained, as safetensors"
        )
    raise ArtefactError(f"{folder}: has no weights: neither {SINGLE} nor {INDEX}")


def _shards(index: Path) -> dict[Path, set[str] | None]:
    found: dict[Path, set[str] | None] = {}
    names = read_object(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ArtefactError(f"{index}: weight_map = {shown(names)}: needs the file of each tensor")
    for name, file in names.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise ArtefactError(
                f"{index}: weight_map.{named(name)} = {shown(file)}: needs a file in this folder"
            )
        tensors = found.setdefault(index.with_name(file), set())
        assert tensors is not None
        tensors.add(name)
    return found


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Every tensor in the files of weights of a folder. Raises ArtefactError, as `weight_files`."""
    found: dict[str, Stored] = {}
    for path, wanted in weight_files(folder).items():
        if not path.is_file():
            why = "is no file" if path.exists() else f"no such file, but {INDEX} names it"
            raise ArtefactError(f"{path}: {why}")
        try:
            with safe_open(path, framework="pt") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
                own = {
                    name: Stored(path, name, tuple(x.get_shape()), x.get_dtype())
                    for name, x in slices.items()
                }
        except (SafetensorError, OSError) as error:
            reason = one_line(error)
            raise ArtefactError(f"{path}: damaged or truncated safetensors ({reason})") from error
        for name in sorted(own.keys() ^ wanted) if wanted is not None else ():
            raise ArtefactError(f"{path}: tensor {named(name)} is there or in {INDEX}, not both")
        found |= own
    return found


def check_tensors(folder: Path, model: PreTrainedModel) -> None:
    """Raise ArtefactError unless the files of weights hold what `model` has, and nothing else.

    `model` may be on the device `meta`. Files may leave out the prefix of the base model, a tied
    output layer, and have HARMLESS buffers.
    """
    prefix = f"{model.base_model_prefix}."
    stored: dict[str, Stored] = {}
    for name, tensor in stored_tensors(folder).items():
        if HARMLESS.search(name):
            continue
        if name.removeprefix(prefix) in stored:
            raise ArtefactError(f"{tensor.file}: tensor {named(name)} is there twice")
        stored[name.removeprefix(prefix)] = tensor
    own = {name.removeprefix(prefix): (name, t) for name, t in model.state_dict().items()}
    for name in sorted(stored.keys() - own.keys()):
        raise ArtefactError(
            f"{stored[name].file}: tensor {named(stored[name].name)} is none of "
            f"{type(model).__name__}'s"
        )
    for name, tensor in stored.items():
        _check_tensor(own[name][0], tensor, tuple(own[name][1].shape))
    _check_missing(folder, model, {own[name][0] for name in stored})


def _check_tensor(name: str, tensor: Stored, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise ArtefactError(
            f"{tensor.file}: tensor {name} has shape {tensor.shape}, expected {shape}"
        )
    if tensor.kind not in FLOATS:
        raise ArtefactError(
            f"{tensor.file}: tensor {name} is of type {tensor.kind}, must be one of "
            f"{', '.join(FLOATS)}"
        )


def _check_missing(folder: Path, model: PreTrainedModel, stored: set[str]) -> None:
    """One of two tied tensors is enough; where both are there, they must be equal."""
    missing = model.state_dict().keys() - stored
    tied = tied_names(model)
    if missing <= set(tied) and len(missing) < max(len(tied), 1):
        return
    name = sorted(missing - set(tied) or missing)[0]
    hint = ""
    if not tied and name == output_name(model):
        hint = ", and config.json does not tie it to the embedding (tie_word_embeddings)"
    raise ArtefactError(f"{folder}: tensor {name} is missing{hint}")


def output_name(model: PreTrainedModel) -> str:
    """Name of the output layer's weight."""
    output = model.get_output_embeddings()
    return next(f"{name}.weight" for name, module in model.named_modules() if module is output)


def tied_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Names of the weights of embedding and output layer if the configuration ties them."""
    if not model.config.tie_word_embeddings:
        return ()
    inputs = model.get_input_embeddings()
    own = next(f"{name}.weight" for name, module in model.named_modules() if module is inputs)
    return own, output_name(model)


def load_whole(
    load: Callable[..., Any],
    cls: type[PreTrainedModel],
    config: Any,
    name: Any,
    *args: Any,
    **options: Any,
) -> tuple[Any, dict[str, Any]]:
    """The model `load(name, ...)` of class `cls`, and what transformers says of its files.

    load: a `from_pretrained`. Raises ArtefactError unless every tensor is there, finite, and of its
    shape, and for tensors beside those. Reads safetensors only.
    """
    folder = Path(str(name), options.get("subfolder", ""))
    if folder.is_dir() and not options.get("variant"):
        with reading(name), torch.device("meta"), no_init_weights():
            expected = cls(copy.deepcopy(config))
        check_tensors(folder, expected)
    options |= {"config": config, "use_safetensors": True, "output_loading_info": True}
    with reading(name):
        model, info = load(name, *args, **options)
    check_loaded(name, info)
    check_values(name, model)
    return model, info


def check_loaded(name: Any, info: Mapping[str, Iterable[Any]]) -> None:
    """Raise ArtefactError for tensors that are missing, or unknown and not HARMLESS."""
    for key, what in (
        ("missing_keys", "is missing"),
        ("unexpected_keys", "is none of the model's"),
        ("mismatched_keys", "has another shape than the model's"),
    ):
        for found in sorted(str(k[0] if isinstance(k, tuple) else k) for k in info.get(key, ())):
            if not HARMLESS.search(found):
                raise ArtefactError(f"{name}: tensor {named(found)} {what}")


def check_values(
    name: Any, model: PreTrainedModel, error: type[GaincellError] = ArtefactError
) -> None:
    """Raise `error` unless every parameter and buffer is finite, and tied ones are equal.

    Those on the device `meta`, whose values lie on a disk, are left out.
    """
    for own, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.device.type != "meta" and not is_finite(tensor):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise error(f"{name}: tensor {own} holds a value that is not finite in {kind}")
    tied = tied_names(model)
    values = [model.get_parameter(n) for n in tied]
    on_disk = any(value.device.type == "meta" for value in values)
    if values and not on_disk and not torch.equal(*values):
        raise error(
            f"{name}: tensors {' and '.join(tied)} differ, but tie_word_embeddings of its "
            "configuration is true; set it to false"
        )
