"""Safetensors files: written, read, and refused."""

import json
import struct

import numpy as np
import pytest

from common.errors import ArtefactError
from common.tensors import check_axes, check_whole, load_tensors, save_tensors


def packed(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "kind", ["u1", "i1", "u2", "i2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "?"]
)
def test_arrays_come_back_with_their_types(tmp_path, kind):
    arrays = {"a": np.arange(6).reshape(2, 3).astype(kind), "empty": np.zeros((0, 3), kind)}
    save_tensors(tmp_path / "t", arrays, {"options": '{"n": 1}'})
    found, metadata = load_tensors(tmp_path / "t")
    assert metadata == {"options": '{"n": 1}'}
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole safetensors file"),
        (b"\xff" * 8, "not a whole safetensors file"),
        (packed({}, length=10**8), "not a whole safetensors file"),
        (packed({}, length=2**63), "not a whole safetensors file"),
        (packed(b"{"), "not a whole safetensors file"),
        (packed(b"[" * 5000 + b"]" * 5000), "not a whole safetensors file"),
        (packed({"a": entry("U8", [3], 0, 3)}, b"ab"), "not a whole safetensors file"),
        (packed({"a": entry("U8", [3], 0, 3)}, b"abcd"), "not a whole safetensors file"),
        (packed({"a": entry("U8", [2], 0, 3)}, b"abc"), "not a whole safetensors file"),
        (packed({"a": entry("U8", [-1], 0, 3)}, b"abc"), "not a whole safetensors file"),
        (packed({"a": entry("U8", [2**63, 2**63], 0, 0)}), "not a whole safetensors file"),
        (
            packed({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, b"abc"),
            "not a whole safetensors file",
        ),
        (packed({"__metadata__": {"x": 3}}), "not a whole safetensors file"),
        (packed({"__metadata__": "x"}), "not a whole safetensors file"),
        (packed({"a": entry("BF16", [1], 0, 2)}, b"ab"), "tensor a is of type BF16, allowed I8"),
        (packed({"a": entry("F8_E4M3", [1], 0, 1)}, b"a"), "tensor a is of type F8_E4M3, allowed"),
        (packed({"a": entry("U9", [1], 0, 1)}, b"a"), "not a whole safetensors file"),
        (packed({"a": entry("U8", [0, 2**62, 2**62], 0, 0)}), ": "),
        (
            packed(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"dtype":"U8"}}', b"a"),
            ": ",
        ),
    ],
)
def test_a_hostile_file_is_refused_in_a_line(tmp_path, content, message):
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtefactError) as error:
        load_tensors(path)
    line = str(error.value).replace(str(path), "t")
    assert message in line and len(line) < 200 and len(line.splitlines()) == 1


def test_axes_have_one_size_each(tmp_path):
    arrays = {"q": np.zeros((2, 3)), "k": np.zeros((2, 3)), "n": np.zeros(2)}
    axes = {"q": ("token", "d"), "k": ("token", "d"), "n": ("token",)}
    assert check_axes(tmp_path, arrays, axes) == {"token": 2, "d": 3}
    for wrong, message in (
        ({"n": np.zeros(4)}, "n has shape [4], needs [token 2]"),
        ({"k": np.zeros((2, 3, 1))}, "k has shape [2, 3, 1], needs [token 2, d 3]"),
        ({"q": np.zeros((0, 3))}, "q has shape [0, 3], needs [token, d]"),
        ({"q": np.array(0)}, "q has shape [], needs [token, d]"),
    ):
        with pytest.raises(ArtefactError) as error:
            check_axes(tmp_path, arrays | wrong, axes)
        assert str(error.value) == f"{tmp_path}: {message}"
    with pytest.raises(ArtefactError, match="has no tensor k"):
        check_axes(tmp_path, {"q": arrays["q"]}, axes)


def test_a_real_number_is_no_whole_one(tmp_path):
    check_whole(tmp_path, {"a": np.zeros(1, bool), "b": np.zeros(1, np.uint8)}, "ab")
    with pytest.raises(ArtefactError, match="a is of type float64, needs whole numbers"):
        check_whole(tmp_path, {"a": np.zeros(1)}, "a")
