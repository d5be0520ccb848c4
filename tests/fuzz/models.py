"""Readers of what transformers writes: folders of models, tokenizers; and deltas."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.numpy import load, save
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from analog_models.spec import load_preset
from ml.models import convert
from ml.models.delta import load_delta, save_delta
from ml.models.families import GainCellModel
from ml.models.folders import load_base, load_converted, load_tokenizer
from ml.train.own_text import PROBE, token_ids
from tests.fuzz.mutations import Short, damaged_folder, damaged_json, damaged_tensors
from tests.fuzz.reading import Reader
from tests.ml import tiny
from tests.ml.families import make_family

disable_progress_bar()
WEIGHTS, CONFIG, SPEC, TOKENIZER = (
    *("model.safetensors", "config.json", "hardware.json", "tokenizer.json"),
)
SMALL: dict[str, Any] = {"vocab_size": 9, "eos_token_id": 8}
LLAMA = {"hidden_size": 32, "intermediate_size": 8, "num_hidden_layers": 1} | SMALL
LLAMA |= {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64}
SIZES = {
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 1, "n_inner": 8, "n_positions": 16} | SMALL,
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA | {"tie_word_embeddings": False},
}
HARDWARE = load_preset().replace(geometry__head_dim=16, geometry__subtile=8, geometry__subtiles=2)
BASES = {name: make_family(name, **sizes) for name, sizes in SIZES.items()}
CONVERTED = {name: convert(base, HARDWARE) for name, base in BASES.items()}


def _files(model: PreTrainedModel, *names: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return {name: (Path(folder) / name).read_bytes() for name in names}


def _damaged(files: dict[str, bytes]) -> st.SearchStrategy[dict[str, bytes]]:
    ways = {WEIGHTS: damaged_tensors(Short(load(files[WEIGHTS])))}
    ways |= {n: damaged_json(Short(json.loads(c))) for n, c in files.items() if n != WEIGHTS}
    return damaged_folder(files, ways).map(Short)


def _as_in_file(model: PreTrainedModel, folder: Path) -> None:
    """Finite, bit for bit what the file has, and again so when it is saved and loaded."""
    own, prefix = model.state_dict(), f"{model.base_model_prefix}."
    stored = load_file(folder.parent / "in" / WEIGHTS)
    for name, tensor in stored.items():
        mine = own.get(name, own.get(f"{prefix}{name}"))
        if mine is not None:
            assert torch.equal(mine, tensor.to(mine.dtype)), name
    assert all(torch.isfinite(tensor).all() for tensor in own.values())
    names = {name.removeprefix(prefix) for name in stored}
    left = {name for name in own if name.removeprefix(prefix) not in names}
    assert left <= {"lm_head.weight"} | {n for n in own if "embed" in n or "wte" in n}, left
    model.save_pretrained(folder)
    again = (load_converted if (folder / SPEC).exists() else load_base)(folder)
    assert all(torch.equal(t, own[name]) for name, t in again.state_dict().items())


BASE_FILES = {name: _files(model, CONFIG, WEIGHTS) for name, model in BASES.items()}
CONVERTED_FILES = {name: _files(m, CONFIG, WEIGHTS, SPEC) for name, m in CONVERTED.items()}


def _tokenizer_files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        tiny.tiny_tokenizer().save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _same_ids(tokenizer: Any, folder: Path) -> None:
    try:
        ids = token_ids(tokenizer, PROBE)
    except Exception as error:
        assert "cannot be read as a tokenizer" in str(error), error
        return
    file = Tokenizer.from_file(str(folder.parent / "in" / TOKENIZER))
    assert ids == file.encode(PROBE, add_special_tokens=False).ids
    tokenizer.save_pretrained(folder)
    assert token_ids(load_tokenizer(folder), PROBE) == ids


def _delta() -> tuple[dict[str, np.ndarray], dict[str, str]]:
    adapted = convert(BASES["llama"], HARDWARE, "linear")
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "delta"
        save_delta(path, BASES["llama"], adapted)
        header = path.read_bytes()
        length = int.from_bytes(header[:8], "little")
        return load(header), json.loads(header[8 : 8 + length])["__metadata__"]


def _finite(model: GainCellModel, folder: Path) -> None:
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    save_delta(folder / "delta", BASES["llama"], model)
    load_delta(folder / "delta", BASES["llama"])


TOKENIZER_FILES = _tokenizer_files()
DELTA, HEADER = _delta()
READERS = [
    Reader(
        "folder of a pretrained model",
        BASE_FILES["llama"],
        st.one_of(*map(_damaged, BASE_FILES.values())),
        load_base,
        _as_in_file,
    ),
    Reader(
        "folder of a converted model",
        CONVERTED_FILES["llama"],
        st.one_of(*map(_damaged, CONVERTED_FILES.values())),
        load_converted,
        _as_in_file,
    ),
    Reader(
        "tokenizer",
        {TOKENIZER: TOKENIZER_FILES[TOKENIZER]},
        damaged_folder(
            TOKENIZER_FILES,
            {n: damaged_json(Short(json.loads(c))) for n, c in TOKENIZER_FILES.items()},
        ),
        load_tokenizer,
        _same_ids,
    ),
    Reader(
        "delta",
        {"delta": save(DELTA, HEADER)},
        damaged_tensors(Short(DELTA), Short(HEADER)).map(lambda content: Short({"delta": content})),
        lambda folder: load_delta(folder / "delta", BASES["llama"]),
        _finite,
    ),
]
