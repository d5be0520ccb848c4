"""The shipped golden vectors: against numpy, and what happens to damaged ones."""

import json
import shutil

import numpy as np
import pytest

from analog_models.errors import ArtefactError
from analog_models.head import GoldenHead
from cosim.golden import GOLDEN, load_golden


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(GOLDEN, tmp_path / "golden")


def edit_manifest(folder, edit):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def test_every_head_of_the_passage_and_the_wrap_are_there(full):
    golden = load_golden(full)
    passage, wrap = golden.passage_stream(48), golden.wrap_stream()
    assert len(passage.q) == 16 * 48 and len(set(passage.heads)) == 16
    assert len(wrap.q) >= 1100 > full.geometry.window
    assert len(golden.text) == len(golden.predicted) >= 48


def test_numpy_equals_the_torch_model_on_the_passage(full):
    stream = load_golden(full).passage_stream(64)
    for start in stream.first:
        part = slice(start, start + 64)
        out = GoldenHead(full).run(stream.q[part], stream.k[part], stream.v[part])
        assert np.array_equal(out, stream.out[part]), f"head {stream.heads[start]}"


def test_numpy_equals_torch_where_the_window_wraps(full):
    stream = load_golden(full).wrap_stream()
    assert np.array_equal(GoldenHead(full).run(stream.q, stream.k, stream.v), stream.out)


def test_vectors_of_another_specification_are_refused(full):
    other = full.replace(name="other", converter__a_sat=41.0)
    message = f"{full.codes_hash}, not of other \\({other.codes_hash}\\)"
    with pytest.raises(ArtefactError, match=message):
        load_golden(other)


def test_a_truncated_file_is_named(full, copy):
    path = copy / "passage.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtefactError, match=r"passage.safetensors: not a whole safetensors file"):
        load_golden(full, copy)


def test_an_altered_file_is_named(full, copy):
    path = copy / "wrap.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"wrap.safetensors: SHA-256 is .*manifest"):
        load_golden(full, copy)


def test_a_manifest_that_is_no_object_is_named(full, copy):
    (copy / "manifest.json").write_text("[]")
    with pytest.raises(ArtefactError, match=r"manifest.json: needs an object, has list"):
        load_golden(full, copy)


def test_a_missing_file_or_entry_is_named(full, copy):
    with pytest.raises(ArtefactError, match=r"manifest.json: No such file"):
        load_golden(full, copy / "absent")
    edit_manifest(copy, lambda manifest: manifest["files"]["wrap.safetensors"].pop("layer"))
    with pytest.raises(ArtefactError, match=r"manifest.json: files.wrap.safetensors.layer: Field"):
        load_golden(full, copy)
    edit_manifest(copy, lambda manifest: manifest["files"].pop("wrap.safetensors"))
    with pytest.raises(ArtefactError, match=r"manifest.json: files.wrap.safetensors: Field req"):
        load_golden(full, copy)
