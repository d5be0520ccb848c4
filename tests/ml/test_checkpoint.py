"""Checkpoints that are whole, damaged, not finite, or of another model."""

from pathlib import Path

import pytest
import torch

from analog_models.errors import ArtefactError
from ml.checkpoint import load_tensors, load_weights, save_tensors
from ml.model import LanguageModel, ModelConfig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.safetensors"


def test_what_is_saved_is_loaded(path):
    tensors = {"a": torch.randn(3, 4).T, "b": torch.tensor([1, 2], dtype=torch.uint8)}
    save_tensors(path, tensors, {"kind": "x", "n": [1, 2]})
    loaded, about = load_tensors(path)
    assert about == {"kind": "x", "n": [1, 2]}
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_truncated_files_are_refused(path, keep):
    save_tensors(path, {"a": torch.zeros(100)}, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtefactError, match=r"some\.safetensors: damaged or truncated") as caught:
        load_tensors(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(path, value):
    save_tensors(path, {"good": torch.zeros(2), "bad": torch.tensor([0.0, value])}, {})
    with pytest.raises(ArtefactError, match=r"tensor bad holds a value that is not finite$"):
        load_tensors(path)


def test_a_missing_file_is_named(path):
    with pytest.raises(ArtefactError, match=rf"^{path}: no such file$"):
        load_tensors(path)


def test_weights_must_fit_the_model(path):
    model = LanguageModel(ModelConfig(vocabulary=16, context=8, layers=1, heads=1, width=8))
    state = model.state_dict()
    with pytest.raises(ArtefactError, match=r"norm\.bias has shape \(3,\), expected \(8,\)$"):
        load_weights(model, state | {"norm.bias": torch.zeros(3)}, path)
    del state["norm.bias"]
    with pytest.raises(ArtefactError, match=r"tensor norm\.bias is missing$"):
        load_weights(model, state, path)
