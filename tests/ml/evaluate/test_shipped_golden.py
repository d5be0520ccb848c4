"""The golden vectors: of this hardware, of this checkpoint, and reproducible from it."""

import pytest
import torch

from analog_models.head import GoldenHead
from analog_models.spec.golden_format import GOLDEN
from common.files import read_json, sha256
from ml.checkpoint import load_tensors
from ml.errors import SettingError
from ml.evaluate.golden import PASSAGE_TOKENS, codes_of, describe_file, liveliest_head, main
from ml.models.shipped import ADAPTED, WEIGHTS, load_adapted
from ml.train import tokenizer

WRAP_TOKENS = 1280
MANIFEST = read_json(GOLDEN / "manifest.json")


@pytest.fixture(scope="module")
def passage() -> dict[str, torch.Tensor]:
    return load_tensors(GOLDEN / "passage.safetensors")[0]


@pytest.fixture(scope="module")
def wrap() -> dict[str, torch.Tensor]:
    return load_tensors(GOLDEN / "wrap.safetensors")[0]


def test_they_are_of_this_preset_and_checkpoint(spec):
    assert MANIFEST["codes_hash"] == spec.codes_hash
    assert MANIFEST["window"] == spec.geometry.window
    assert MANIFEST["checkpoint"] == {"file": ADAPTED.name, "sha256": sha256(ADAPTED / WEIGHTS)}


@pytest.mark.parametrize("name", ["passage.safetensors", "wrap.safetensors"])
def test_the_manifest_describes_the_files(name, spec):
    tensors, about = load_tensors(GOLDEN / name)
    assert about["codes_hash"] == spec.codes_hash
    described = describe_file(GOLDEN / name, tensors, tokenizer.load())
    assert {key: MANIFEST["files"][name][key] for key in described} == described


def test_shapes_and_ranges_are_those_of_the_hardware(passage, wrap, spec):
    shape = (4, 4, PASSAGE_TOKENS, spec.geometry.head_dim)
    for tensors, wanted in ((passage, shape), (wrap, (WRAP_TOKENS, 64))):
        for name, levels in (("q", spec.levels.q), ("k", spec.levels.kv), ("v", spec.levels.kv)):
            assert tensors[name].dtype == torch.uint8 and tensors[name].shape == wanted
            assert tensors[name].max() == levels - 1 and tensors[name].min() == 0
        assert tensors["out"].dtype == torch.int16 and tensors["out"].shape == wanted
        assert 15 < tensors["out"].abs().max() <= spec.out_max


def test_the_command_writes_what_ships(passage, wrap, tmp_path, capsys):
    assert main(["--folder", str(tmp_path)]) == 0
    for name, shipped in (("passage", passage), ("wrap", wrap)):
        fresh = load_tensors(tmp_path / f"{name}.safetensors")[0]
        assert fresh.keys() == shipped.keys()
        for key, tensor in fresh.items():
            assert torch.equal(shipped[key], tensor), (name, key)
    manifest = read_json(tmp_path / "manifest.json")
    for key in ("codes_hash", "preset", "window", "checkpoint", "source"):
        assert manifest[key] == MANIFEST[key], key
    for name, entry in MANIFEST["files"].items():
        fresh = manifest["files"][name]
        assert {key: fresh[key] for key in entry} == entry
    assert f"next: python -m cosim.sim --golden {tmp_path}" in capsys.readouterr().out


def test_the_golden_head_reproduces_the_passage(passage, spec):
    for layer, head in ((0, 1), (3, 2)):
        q, k, v, out = (passage[name][layer, head, :70] for name in ("q", "k", "v", "out"))
        assert torch.equal(GoldenHead(spec, xp=torch).run(q, k, v), out.double())


def test_the_wrap_begins_like_a_flushed_text(wrap):
    entry = MANIFEST["files"]["wrap.safetensors"]
    first = entry["texts_of"]
    codes, _ = codes_of(load_adapted(), wrap["tokens"][:first].long())
    for name in ("q", "k", "v", "out"):
        fresh = getattr(codes, name)[entry["layer"], entry["head"]]
        assert torch.equal(wrap[name][:first].double(), fresh), name


@pytest.mark.slow
def test_the_golden_head_reproduces_the_wrap(wrap, spec):
    out = GoldenHead(spec, xp=torch).run(wrap["q"], wrap["k"], wrap["v"])
    assert torch.equal(out, wrap["out"].double())
    late = slice(spec.geometry.window, WRAP_TOKENS)
    fresh = GoldenHead(spec, xp=torch).run(*(wrap[name][late] for name in ("q", "k", "v")))
    assert not torch.equal(fresh, out[late])  # the older tokens do matter


def test_the_passage_predicts_better_than_chance(passage):
    right = (passage["predicted"][:-1] == passage["tokens"][1:]).double().mean()
    assert right > 0.15


def test_liveliest_head_is_the_one_that_varies_most(generator):
    out = torch.randn(2, 3, 50, 8, generator=generator)
    out[1, 2] *= 3
    assert liveliest_head(out) == (1, 2)


def test_an_unknown_source_is_named(tmp_path):
    with pytest.raises(
        SettingError, match=r"^source is 'homer', must be one of austen, king_james"
    ):
        main(["--source", "homer", "--folder", str(tmp_path)])
    assert not list(tmp_path.iterdir())
