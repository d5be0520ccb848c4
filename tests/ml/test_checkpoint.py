"""Checkpoints that are whole, damaged, not finite, or of another model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from common.errors import ArtefactError
from ml.checkpoint import check_tokens, load_tensors, load_weights, save_tensors


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
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_that_are_not_finite_are_neither_read_nor_written(path, value, dtype):
    tensors = {"good": torch.zeros(2), "bad": torch.tensor([0.0, value], dtype=dtype)}
    message = r"some\.safetensors: tensor bad holds a value that is not finite$"
    with pytest.raises(ArtefactError, match=message):
        save_tensors(path, tensors, {})
    assert not path.exists()
    save_file(tensors, path)
    with pytest.raises(ArtefactError, match=message):
        load_tensors(path)


def test_a_missing_file_is_named(path):
    with pytest.raises(ArtefactError, match=rf"^{path}: no such file$"):
        load_tensors(path)


def test_weights_must_fit_the_model(path):
    model = nn.ModuleDict({"up": nn.Linear(8, 4), "norm": nn.LayerNorm(8)})
    state = model.state_dict()
    for tensors, message in (
        ({"norm.bias": torch.zeros(3)}, r"norm\.bias has shape \(3,\), expected \(8,\)$"),
        ({"norm.bias": torch.zeros(8).int()}, r"norm\.bias has values of int32, expected float32$"),
        (
            {"norm.bias": torch.full((8,), 1e39, dtype=torch.float64)},
            r"norm\.bias holds .* too large for float32",
        ),
        ({"other": torch.zeros(1)}, r"tensor other is none of the model's$"),
    ):
        with pytest.raises(ArtefactError, match=message):
            load_weights(model, state | tensors, path)
    del state["norm.bias"]
    with pytest.raises(ArtefactError, match=r"tensor norm\.bias is missing$"):
        load_weights(model, state, path)


def test_small_and_half_precision_weights_load_exactly(path):
    model = nn.ModuleDict({"up": nn.Linear(8, 4), "norm": nn.LayerNorm(8)})
    state = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    denormal = torch.full((8,), 6e-8).half()
    half = state | {"norm.bias": denormal, "norm.weight": torch.zeros(8).half()}
    load_weights(model, half, path)
    assert torch.equal(model.get_parameter("norm.bias"), denormal.float())
    assert denormal[0] > 0
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("[1]", r"about = \[1\]: needs an object$"),
        ("{", r"about: not JSON: "),
        ('{"a": 1, "a": 2}', r"about: a: this key stands twice$"),
        ("[" * 100_000 + "]" * 100_000, r"about: nested deeper than 64 levels$"),
    ],
)
def test_a_header_that_says_nothing_clear_is_refused(path, about, message):
    save_file({"a": torch.zeros(1)}, path, {"about": about})
    with pytest.raises(ArtefactError, match=message):
        load_tensors(path)


def test_token_ids_must_be_ids(path):
    good = {"a": torch.tensor([0, 15])}
    check_tokens(good, ["a"], path, 16)
    for tensors, message in (
        ({}, r"tensor a: needs token ids"),
        ({"a": torch.zeros(2)}, r"tensor a: needs token ids"),
        ({"a": torch.zeros(2, 2).int()}, r"tensor a: needs token ids"),
        ({"a": torch.tensor([3, 16])}, r"tensor a has id 16, allowed 0 to 15$"),
        ({"a": torch.tensor([-1])}, r"tensor a has id -1, allowed 0 to 15$"),
    ):
        with pytest.raises(ArtefactError, match=message):
            check_tokens(tensors, ["a"], path, 16)
