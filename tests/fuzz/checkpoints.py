"""Readers of what a training leaves: stages, its state, tokens."""

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
from ml.adapt.stage_files import StageFolder, origin_of
from ml.adapt.student import adapted_tensors, load_adapted, new_student
from ml.adapt.work import Options
from ml.checkpoint import load_tensors, save_tensors
from ml.models.network import Network
from ml.train import heldout
from ml.train.command import new_model
from ml.train.loop import Run, Settings
from tests.fuzz.mutations import Short, damaged_tensors
from tests.fuzz.reading import Reader

SPEC = load_preset().replace(geometry__head_dim=16, geometry__subtile=8, geometry__subtiles=2)
ORIGIN = origin_of("0" * 64, SPEC)
SETTINGS = Settings(steps=9, muon_rate=1e-2)


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


def _network() -> Network:
    model = new_model(1, vocab_size=12, n_positions=8, n_embd=16, n_layer=1, n_head=1)
    return new_student(model, SPEC, "linear", Options(precision="float32"))


def _stage(folder: Path) -> Network:
    stages, network = StageFolder(folder, ORIGIN), _network()
    load_adapted(network, stages.load("linear")[0], stages.file("linear"))
    return network


def _as_saved(network: Network, folder: Path) -> None:
    """Finite, and bit for bit what the file has, in the precision of the model."""
    (path,) = (folder.parent / "in").iterdir()
    tensors, _ = load_tensors(path)
    own = adapted_tensors(network)
    assert {name for name in own if name.startswith("0.")} <= tensors.keys() <= own.keys()
    assert all(torch.isfinite(tensor).all() for tensor in own.values())
    for name, tensor in tensors.items():
        assert torch.equal(own[name], tensor.to(own[name].dtype)), name


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


_saved = {name: t for name, t in adapted_tensors(_network()).items() if name.startswith("0.")}
_tensors, _about = _state()
READERS = [
    _reader(
        "stage",
        "linear.safetensors",
        _saved,
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
