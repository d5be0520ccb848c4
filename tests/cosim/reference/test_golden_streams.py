"""The shipped golden vectors: against numpy, and what happens to damaged ones."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from analog_models.head import GoldenHead
from common.errors import ArtefactError
from cosim.reference.golden_streams import GOLDEN, load_golden


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


def alter(folder, name, edit):
    """Change the tensors of a file, and let the manifest agree."""
    path = folder / name
    tensors = {key: array.copy() for key, array in load_file(path).items()}
    edit(tensors)
    save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit_manifest(folder, lambda manifest: manifest["files"][name].update(sha256=digest))


PASSAGE, WRAP = "passage.safetensors", "wrap.safetensors"


@pytest.mark.parametrize(
    ("file", "field", "value", "message"),
    [
        (PASSAGE, "sha256", None, "sha256 = None: Input should be a valid string"),
        (PASSAGE, "sha256", "abc", "sha256 = 'abc': String should match pattern"),
        (PASSAGE, "strings", ["With"], "strings: has 1, needs one for each of 128 tokens"),
        (PASSAGE, "strings", None, "strings = None: Input should be a valid list"),
        (PASSAGE, "strings", [3] * 128, "strings.0 = 3: Input should be a valid string"),
        (PASSAGE, "predicted_strings", [], "predicted_strings: has 0, needs one for each of 128"),
        (PASSAGE, "layers", [0, 1, 2], "layers = [0, 1, 2]: needs 4 different numbers"),
        (PASSAGE, "layers", [0, 1, 2, 2], "layers = [0, 1, 2, 2]: needs 4 different numbers"),
        (PASSAGE, "layers", None, "layers = None: Input should be a valid list"),
        (PASSAGE, "layers", ["0", 1, 2, 3], "layers.0 = '0': Input should be a valid integer"),
        (PASSAGE, "layers", [-1, 1, 2, 3], "layers.0 = -1: Input should be greater than"),
        (WRAP, "layer", -1, "layer = -1: Input should be greater than or equal to 0"),
        (WRAP, "layer", "1", "layer = '1': Input should be a valid integer"),
        (WRAP, "head", True, "head = True: Input should be a valid integer"),
        (WRAP, "head", 4, "head 1.4 of the wrap is not in the passage"),
        (WRAP, "layer", 9, "head 9.0 of the wrap is not in the passage"),
    ],
)
def test_an_absurd_entry_is_named(full, copy, file, field, value, message):
    edit_manifest(copy, lambda manifest: manifest["files"][file].update({field: value}))
    with pytest.raises(ArtefactError) as error:
        load_golden(full, copy)
    assert str(copy) in str(error.value) and message in str(error.value)


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        (
            PASSAGE,
            lambda t: t["out"].__setitem__((1, 2, 3, 4), 241),
            "out[1, 2, 3, 4] = 241: allowed whole numbers -240 to 240 ([layer, head, token, dim",
        ),
        (WRAP, lambda t: t["out"].__setitem__((5, 6), -241), "out[5, 6] = -241: allowed whole"),
        (
            WRAP,
            lambda t: t["q"].__setitem__((0, 0), 16),
            "q[0, 0] = 16: allowed whole numbers 0 to",
        ),
        (
            WRAP,
            lambda t: t.update(out=t["out"].astype(np.float32)),
            "out is of type float32, needs whole numbers",
        ),
        (PASSAGE, lambda t: t.update(k=t["k"][:, :3], v=t["v"][:, :3]), "4 heads cannot share 3"),
        (
            PASSAGE,
            lambda t: t.update(v=t["v"][:, :2]),
            "v has shape [4, 2, 128, 64], needs [layer",
        ),
        (PASSAGE, lambda t: t.update(q=t["q"][..., :32]), "k has shape [4, 4, 128, 64], needs"),
        (
            WRAP,
            lambda t: t.update({n: t[n][:, :32] for n in ("q", "k", "v", "out")}),
            "32 dimensions",
        ),
        (
            WRAP,
            lambda t: t.update({n: t[n][:0] for n in ("q", "k", "v", "out")}),
            "q has shape [0, 64]",
        ),
        (WRAP, lambda t: t.pop("k"), "has no tensor k"),
    ],
)
def test_tensors_that_a_head_cannot_have_are_named(full, copy, file, edit, message):
    alter(copy, file, edit)
    with pytest.raises(ArtefactError) as error:
        load_golden(full, copy)
    assert str(copy / file) in str(error.value) and message in str(error.value)
