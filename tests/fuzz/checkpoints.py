"""Readers of the small model's files: checkpoints, stages, training state, tokens."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor, nn

from analog_models.spec import load_preset
from ml.checkpoint import load_tensors, load_weights, save_tensors
from ml.small.hardware_attention import on_hardware
from ml.small.model import LanguageModel, ModelConfig
from ml.small.shipped import load_adapted, load_teacher
from ml.small.stages import StageFolder, origin_of
from ml.train import heldout
from ml.train.loop import Run, Settings
from tests.fuzz.mutations import Short, damaged_tensors
from tests.fuzz.reading import Reader

CONFIG = ModelConfig(vocabulary=12, context=8, layers=1, heads=1, width=16)
SPEC = load_preset().replace(geometry__head_dim=16, geometry__subtile=8, geometry__subtiles=2)
ORIGIN = origin_of("0" * 64, SPEC)
SETTINGS = Settings(steps=9, muon_rate=1e-2)
RUN = {"tokens_seen": {"linear": 5}, "seconds": {"linear": 0.5}}


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def _reader(
    name: str,
    file: str,
    tensors: dict[str, Tensor],
    about: dict[str, Any],
    load: Callable[[Path], Any],
    check: Callable[[Any, Path], None],
) -> Reader:
    """A reader of one safetensors file below a folder."""
    arrays, metadata = _arrays(tensors), {"about": json.dumps(about)}
    return Reader(
        name,
        {file: save(arrays, metadata)},
        damaged_tensors(Short(arrays), Short(metadata)).map(lambda content: Short({file: content})),
        load,
        check,
    )


def _as_saved(model: nn.Module, folder: Path) -> None:
    """Finite, and bit for bit what the file has, in the precision of the model."""
    (path,) = (folder.parent / "in").iterdir()
    tensors, _ = load_tensors(path)
    own = model.state_dict()
    assert own.keys() == tensors.keys()
    for name, tensor in own.items():
        assert torch.isfinite(tensor).all() and torch.equal(tensor, tensors[name].to(tensor.dtype))


def _student() -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(CONFIG, on_hardware(SPEC, scaled=True))


def _stage(folder: Path) -> LanguageModel:
    stages, model = StageFolder(folder, ORIGIN), _student()
    load_weights(model, stages.load("linear")[0], stages.file("linear"))
    return model


def _run(path: Path) -> Run:
    torch.manual_seed(2)
    module = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    return Run(module, SETTINGS, path, {"text": "one"})


def _state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of a run after a step."""
    with tempfile.TemporaryDirectory() as folder:
        run = _run(Path(folder) / "state.safetensors")
        run.module(torch.ones(1, 3)).square().sum().backward()
        run.optimisers.step(1e-3)
        run.progress.step, run.progress.best_loss = 1, 2.5
        run.save()
        return load_tensors(run.state_file)


def _resumed(folder: Path) -> Run:
    run = _run(folder / "state.safetensors")
    if not run.resume():
        load_tensors(run.state_file)
    return run


def _same_state(run: Run, folder: Path) -> None:
    before = load_tensors(run.state_file)
    run.state_file = folder / "state.safetensors"
    run.save()
    tensors, about = load_tensors(run.state_file)
    assert tensors.keys() == before[0].keys()
    assert all(torch.equal(t, before[0][n].to(t.dtype)) for n, t in tensors.items())
    assert about["progress"] == run.progress.model_dump(exclude_defaults=True)


def _same_tokens(parts: dict[str, Tensor], folder: Path) -> None:
    save_tensors(folder / "tokens", parts, {"kind": "heldout"})
    again = heldout.load(folder / "tokens")
    assert all(torch.equal(again[name], ids) for name, ids in parts.items())


def _of(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.state_dict())


torch.manual_seed(0)
_teacher, _adapted = LanguageModel(CONFIG), LanguageModel(CONFIG, on_hardware(SPEC))
_tensors, _about = _state()
READERS = [
    _reader(
        "teacher",
        "teacher.safetensors",
        _of(_teacher),
        {"kind": "teacher", "run": RUN},
        lambda folder: load_teacher(folder / "teacher.safetensors", CONFIG),
        _as_saved,
    ),
    _reader(
        "adapted model",
        "adapted.safetensors",
        _of(_adapted.half()),
        {"kind": "adapted", **SPEC.hashes, "run": RUN},
        lambda folder: load_adapted(SPEC, folder / "adapted.safetensors", CONFIG),
        _as_saved,
    ),
    _reader(
        "stage",
        "linear.safetensors",
        _of(_student()),
        {"kind": "stage", "stage": "linear", "origin": ORIGIN, "start": None, "about": 1.5},
        _stage,
        _as_saved,
    ),
    _reader("training state", "state.safetensors", _tensors, _about, _resumed, _same_state),
    _reader(
        "held-out tokens",
        "tokens.safetensors",
        {"a": torch.tensor([1, 2, 3], dtype=torch.int32), "b": torch.tensor([0])},
        {"kind": "heldout"},
        lambda folder: heldout.load(folder / "tokens.safetensors"),
        _same_tokens,
    ),
]
