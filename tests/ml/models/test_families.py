"""Saved models: what lies in the folder, and what is refused on the way back."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from analog_models.spec import load_preset, load_spec
from common.errors import ArtefactError
from ml.errors import ModelError
from ml.models import GainCellGPT2LMHeadModel, GainCellLlamaForCausalLM, convert, heads_of
from ml.models.families import SPEC_FILE
from ml.models.folders import load_base, load_converted
from tests.ml.families import GPT2_SIZES


@pytest.fixture
def folder(llama, hf_spec, tmp_path):
    path = tmp_path / "model"
    convert(llama, hf_spec, "linear", mixing=False).save_pretrained(path)
    return path


@torch.no_grad()
def test_a_saved_model_comes_back_as_it_was(family, hf_spec, hf_ids, tmp_path):
    model = convert(family, hf_spec, "linear")
    heads_of(model)[0].mix_q.add_(0.1)
    model.save_pretrained(tmp_path)
    expected = model(hf_ids).logits
    for load in (type(model).from_pretrained, AutoModelForCausalLM.from_pretrained, load_converted):
        loaded = load(tmp_path)
        assert type(loaded) is type(model) and loaded.config.stage == "linear"
        assert loaded.config.spec == model.config.spec
        assert torch.equal(loaded(hf_ids).logits, expected)
        assert loaded.lm_head.weight is loaded.get_input_embeddings().weight


def test_the_folder_is_safetensors_json_and_a_specification_of_its_own(folder, hf_spec):
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors", SPEC_FILE}
    assert load_spec(folder / SPEC_FILE) == hf_spec.linearised()
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "gaincell_llama" and config["mixing"] is False
    assert config["codes_hash"] == hf_spec.linearised().codes_hash and "spec" not in config
    assert AutoConfig.from_pretrained(folder).stage == "linear"


def test_another_precision_leaves_the_heads_in_single(folder):
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    assert loaded.dtype == torch.bfloat16
    assert {p.dtype for h in heads_of(loaded) for p in h.parameters()} == {torch.float32}


def test_a_specification_of_other_codes_is_refused(folder, hf_spec):
    cubic = hf_spec.codes_hash
    (folder / SPEC_FILE).write_text(json.dumps(hf_spec.to_tree()))
    with pytest.raises(ArtefactError, match=rf"hardware.json has codes {cubic}, but the model in"):
        GainCellLlamaForCausalLM.from_pretrained(folder)
    with pytest.raises(ArtefactError, match=r"its weights mean nothing on other hardware"):
        AutoModelForCausalLM.from_pretrained(folder, spec=hf_spec)


def test_another_schedule_is_no_other_hardware_for_the_codes(folder, hf_spec):
    slow = hf_spec.linearised().replace(schedules__overlapped__period=54)
    assert slow.hash != hf_spec.linearised().hash
    loaded = GainCellLlamaForCausalLM.from_pretrained(folder, spec=slow)
    assert heads_of(loaded)[0].spec.hash == slow.hash


def test_a_missing_specification_is_named(folder):
    (folder / SPEC_FILE).unlink()
    with pytest.raises(ArtefactError, match=r"has no hardware.json, the specification of its"):
        AutoModelForCausalLM.from_pretrained(folder)


def test_a_model_that_was_never_converted_is_refused(llama, tmp_path):
    llama.save_pretrained(tmp_path)
    for load in (GainCellLlamaForCausalLM.from_pretrained, load_converted):
        with pytest.raises(ModelError, match=r"model_type is 'llama', must be .*gaincell_llama"):
            load(tmp_path)


def test_a_class_needs_its_hardware(folder):
    config = AutoConfig.from_pretrained(folder)
    with pytest.raises(ModelError, match=r"needs a hardware specification: give spec="):
        GainCellLlamaForCausalLM(config)
    with pytest.raises(ModelError, match=r"dimension 16: specification leroux2025 has"):
        GainCellLlamaForCausalLM(config, load_preset())


def test_no_hub_is_asked(folder, llama, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("socket.socket.connect", lambda _, address: asked.append(address))
    monkeypatch.setattr("socket.getaddrinfo", lambda *address, **_: asked.append(address) or [])
    llama.save_pretrained(tmp_path / "base")
    load_converted(folder)
    load_base(tmp_path / "base")
    with pytest.raises(ArtefactError):
        load_base("an-owner/a-model")
    assert asked == []


def test_the_extra_is_named_where_it_is_missing():
    hide = "import sys; sys.path_importer_cache.clear(); sys.meta_path.insert(0, Hide())"
    finder = (
        "class Hide:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'transformers': raise ModuleNotFoundError(name)\n"
    )
    program = f"{finder}{hide}\nimport ml.models"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ml.models needs transformers: run `sh .ci/install.sh ml`" in done.stderr


def test_bad_folders_are_named(folder, tmp_path):
    with pytest.raises(ArtefactError, match=r"absent: no such folder \(nothing is downloaded"):
        load_base(tmp_path / "absent")
    with pytest.raises(ArtefactError, match=r"config\.json: No such file or directory$"):
        load_base(tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ArtefactError, match=r"model\.safetensors: damaged or truncated"):
        load_converted(folder)


OLD_LAYOUTS = {
    "as published": lambda name: name.removeprefix("transformer."),
    "with prefix": lambda name: name,
}


@pytest.mark.parametrize("rename", OLD_LAYOUTS.values(), ids=OLD_LAYOUTS)
@torch.no_grad()
def test_gpt2_loads_from_files_of_the_old_layout(rename, hf_spec, hf_ids, tmp_path):
    """Names without `transformer.`, causal masks as buffers, no output layer: as GPT-2 came out."""
    from safetensors.torch import save_file

    model = GPT2LMHeadModel(GPT2Config(**GPT2_SIZES)).eval()
    tensors = {rename(n): t.clone() for n, t in model.state_dict().items() if "lm_head" not in n}
    mask = torch.ones(128, 128, dtype=torch.bool).tril()[None, None]
    for layer in range(2):
        tensors[rename(f"transformer.h.{layer}.attn.bias")] = mask.clone()
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    config = model.config.to_dict() | {"n_ctx": 128, "activation_function": "gelu_new"}
    config.pop("transformers_version")
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"architectures": ["GPT2LMHeadModel"]})
    )
    base = load_base(tmp_path)
    assert torch.equal(base(hf_ids).logits, model(hf_ids).logits)
    converted = convert(base, hf_spec)
    assert isinstance(converted, GainCellGPT2LMHeadModel)
    assert torch.isfinite(converted(hf_ids).logits).all()


@pytest.mark.slow
@torch.no_grad()
def test_gpt2_of_124m_converts_and_runs(tmp_path):
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(tmp_path / "base")
    base = load_base(tmp_path / "base")
    assert sum(p.numel() for p in base.parameters()) == 124_439_808
    converted = convert(base, load_preset())
    ids = torch.randint(50257, (1, 80))
    logits = converted(ids).logits
    assert logits.shape == (1, 80, 50257) and torch.isfinite(logits).all()
    converted.save_pretrained(tmp_path / "converted")
    shutil.rmtree(tmp_path / "base")
    assert torch.equal(load_converted(tmp_path / "converted")(ids).logits, logits)
