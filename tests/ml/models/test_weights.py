"""Weights of folders: whole, finite and the model's, or refused with the name of the tensor."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from common.errors import ArtefactError
from ml.models import GainCellLlamaForCausalLM, convert
from ml.models.folders import load_base, load_converted
from ml.models.weights import INDEX, SINGLE
from tests.ml.families import make_family

Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]
UP = "model.layers.1.mlp.up_proj.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"
MIX = "model.layers.0.self_attn.heads.mix_q"


@pytest.fixture
def base(llama, tmp_path) -> Path:
    llama.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def converted_folder(llama, hf_spec, tmp_path) -> Path:
    convert(llama, hf_spec).save_pretrained(tmp_path / "converted")
    return tmp_path / "converted"


@pytest.fixture
def sharded(llama, tmp_path) -> Path:
    llama.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert len(list((tmp_path / "sharded").glob("model-*.safetensors"))) > 2
    return tmp_path / "sharded"


def rewrite(folder: Path, change: Change) -> None:
    tensors = change(load_file(folder / SINGLE))
    save_file(
        {n: t.clone().contiguous() for n, t in tensors.items()}, folder / SINGLE, {"format": "pt"}
    )


def without(name: str) -> Change:
    return lambda tensors: {n: t for n, t in tensors.items() if n != name}


def with_value(name: str, value: float, dtype: torch.dtype = torch.float32) -> Change:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensor = tensors[name].to(dtype)
        tensor.view(-1)[3] = value
        return tensors | {name: tensor}

    return change


NOT_WHOLE: dict[str, tuple[Change, str]] = {
    "missing": (without(UP), rf"base: tensor {UP} is missing$"),
    "misshapen": (lambda t: t | {UP: t[UP][1:]}, rf"tensor {UP} has shape \(63, 64\), expected"),
    "of no layer": (
        lambda t: t | {UP.replace(".1.", ".7."): t[UP]},
        r"tensor model.layers.7.mlp.up_proj.weight is none of LlamaForCausalLM's$",
    ),
    "of another name": (lambda t: t | {"strange": t[UP]}, r"tensor strange is none of Llama"),
    "there twice": (lambda t: t | {UP.removeprefix("model."): t[UP]}, r"is there twice$"),
    "whole numbers": (lambda t: t | {UP: t[UP].long()}, r"is of type I64, must be one of F64, F32"),
    "bytes": (lambda t: t | {UP: t[UP].to(torch.float8_e4m3fn)}, r"is of type F8_E4M3, must be"),
    "NaN": (
        with_value(QUERY, torch.nan),
        rf"base: tensor {QUERY} holds a value that is not",
    ),
    "infinity": (with_value(QUERY, torch.inf), rf"tensor {QUERY} holds a value that is not finite"),
    "NaN in bfloat16": (with_value(QUERY, torch.nan, torch.bfloat16), rf"tensor {QUERY} holds a"),
    "NaN in float16": (with_value(QUERY, torch.nan, torch.float16), rf"tensor {QUERY} holds a val"),
    "too large": (with_value(QUERY, 1e39, torch.float64), r"that is not finite in float32$"),
}


@pytest.mark.parametrize("kind", NOT_WHOLE)
def test_a_base_that_is_not_whole_is_refused(kind, base):
    change, message = NOT_WHOLE[kind]
    rewrite(base, change)
    with pytest.raises(ArtefactError, match=message) as caught:
        load_base(base)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(UP), rf"tensor {UP} is missing$"),
        (without(MIX), rf"tensor {MIX} is missing$"),
        (lambda t: t | {MIX: t[MIX][:1]}, rf"tensor {MIX} has shape \(1, 16, 16\), expected"),
        (with_value(MIX, torch.nan), rf"tensor {MIX} holds a value that is not finite in float32$"),
        (with_value(UP, torch.inf), rf"tensor {UP} holds a value that is not finite in float32$"),
        (
            lambda t: t | {"strange": t[UP]},
            r"tensor strange is none of GainCellLlamaForCausal",
        ),
    ],
)
def test_a_converted_model_that_is_not_whole_is_refused(change, message, converted_folder):
    """However a user loads it."""
    from transformers import AutoModelForCausalLM

    rewrite(converted_folder, change)
    for load in (
        load_converted,
        GainCellLlamaForCausalLM.from_pretrained,
        AutoModelForCausalLM.from_pretrained,
    ):
        with pytest.raises(ArtefactError, match=message):
            load(converted_folder)


def test_a_value_too_large_for_the_type_that_is_asked_for_is_refused(converted_folder):
    rewrite(converted_folder, with_value(UP, 1e6))
    load_converted(converted_folder)
    with pytest.raises(ArtefactError, match=rf"tensor {UP} holds .* not finite in float16$"):
        GainCellLlamaForCausalLM.from_pretrained(converted_folder, dtype=torch.float16)


@torch.no_grad()
def test_zero_and_denormal_weights_are_weights(base):
    rewrite(base, lambda t: {n: torch.zeros_like(x) for n, x in t.items()} | {UP: t[UP] * 1e-42})
    loaded = load_base(base)
    assert 0 < loaded.get_parameter(UP).abs().max() < 1e-38
    assert torch.equal(loaded.get_parameter(UP), load_file(base / SINGLE)[UP])


HARMLESS = {
    "gpt2": ("transformer.h.0.attn.bias", "h.1.attn.masked_bias"),
    "llama": ("model.layers.0.self_attn.rotary_emb.inv_freq",),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_buffers_of_old_files_are_passed_over(name, tmp_path):
    model = make_family(name)
    model.save_pretrained(tmp_path)
    rewrite(tmp_path, lambda t: t | {n: torch.zeros(3) > 0 for n in HARMLESS[name]})
    loaded = load_base(tmp_path)
    assert all(torch.equal(t, loaded.state_dict()[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_tied_output_layer_may_be_missing_an_own_one_may_not(name, tmp_path):
    tied, untied = (make_family(name, tie_word_embeddings=tie) for tie in (True, False))
    for model, folder in ((tied, tmp_path / "tied"), (untied, tmp_path / "untied")):
        model.save_pretrained(folder)
    assert "lm_head.weight" not in load_file(tmp_path / "tied" / SINGLE)
    loaded: Any = load_base(tmp_path / "tied")
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    rewrite(tmp_path / "untied", without("lm_head.weight"))
    message = r"tensor lm_head\.weight is missing, and config\.json does not tie it"
    with pytest.raises(ArtefactError, match=message):
        load_base(tmp_path / "untied")


def test_tied_tensors_must_be_equal(base, llama):
    rewrite(base, lambda t: t | {"lm_head.weight": t["model.embed_tokens.weight"]})
    assert torch.equal(load_base(base).lm_head.weight, llama.lm_head.weight)
    rewrite(base, with_value("lm_head.weight", 7.0))
    with pytest.raises(ArtefactError, match=r"embed_tokens\.weight and lm_head\.weight differ"):
        load_base(base)


def test_either_of_two_tied_tensors_is_enough(base, llama):
    embedding = "model.embed_tokens.weight"
    rewrite(base, lambda t: without(embedding)(t) | {"lm_head.weight": t[embedding]})
    assert torch.equal(load_base(base).lm_head.weight, llama.lm_head.weight)
    rewrite(base, without("lm_head.weight"))
    with pytest.raises(ArtefactError, match=r"tensor lm_head\.weight is missing|embed_tokens"):
        load_base(base)


def shard_of(folder: Path, number: int) -> Path:
    return sorted(folder.glob("model-*.safetensors"))[number]


def edit_index(folder: Path, change: Callable[[dict], object]) -> None:
    tree = json.loads((folder / INDEX).read_text())
    change(tree)
    (folder / INDEX).write_text(json.dumps(tree))


def test_shards_are_read_as_one_file(sharded, llama):
    loaded = load_base(sharded).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in llama.state_dict().items())


SHARDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (
        lambda f: shard_of(f, 1).unlink(),
        r"model-00002-of-\d+\.safetensors: no such file",
    ),
    "cut off": (
        lambda f: shard_of(f, 1).write_bytes(shard_of(f, 1).read_bytes()[:-5]),
        r"model-00002-of-\d+\.safetensors: damaged or truncated",
    ),
    "of other tensors": (
        lambda f: shard_of(f, 1).write_bytes(shard_of(f, 2).read_bytes()),
        r"model-00002-of-\d+\.safetensors: tensor .* is there or in .*, not both$",
    ),
    "not named": (lambda f: edit_index(f, lambda t: t.update(weight_map={})), r"weight_map = \{\}"),
    "elsewhere": (
        lambda f: edit_index(f, lambda t: t["weight_map"].update({UP: "../x.safetensors"})),
        rf"weight_map\.{UP} = '\.\./x\.safetensors': needs a file in this folder$",
    ),
    "no name": (
        lambda f: edit_index(f, lambda t: t["weight_map"].update({UP: None})),
        rf"weight_map\.{UP} = None: needs a file in this folder$",
    ),
    "no index": (lambda f: (f / INDEX).write_text("{"), r"index\.json: not JSON"),
    "two": (
        lambda f: shard_of(f, 0).rename(f / SINGLE),
        r"has model\.safetensors and .*: which",
    ),
}


@pytest.mark.parametrize("kind", SHARDS)
def test_shards_that_are_not_whole_are_refused(kind, sharded):
    damage, message = SHARDS[kind]
    damage(sharded)
    with pytest.raises(ArtefactError, match=message):
        load_base(sharded)


NO_WEIGHTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "none": (lambda f: (f / SINGLE).unlink(), r"has no weights: neither model\.safetensors nor"),
    "empty": (lambda f: (f / SINGLE).write_bytes(b""), r"model\.safetensors: damaged or truncated"),
    "a folder": (
        lambda f: ((f / SINGLE).unlink(), (f / SINGLE).mkdir()),
        r"model\.safetensors: is no file$",
    ),
    "pickle": (
        lambda f: (f / SINGLE).rename(f / "pytorch_model.bin"),
        r"pytorch_model\.bin: pickle, which can run code, is never read; load it where you trust",
    ),
    "an adapter": (
        lambda f: (f / "adapter_config.json").write_text("{}"),
        r"adapter_config\.json: an adapter is not read; merge it into its base model$",
    ),
}


@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_folders_without_weights_are_refused(kind, base):
    damage, message = NO_WEIGHTS[kind]
    damage(base)
    with pytest.raises(ArtefactError, match=message):
        load_base(base)


def test_pickle_is_not_read_even_if_asked_for(converted_folder):
    tensors = load_file(converted_folder / SINGLE)
    torch.save(tensors, converted_folder / "pytorch_model.bin")
    (converted_folder / SINGLE).unlink()
    with pytest.raises(ArtefactError, match=r"pytorch_model\.bin: pickle"):
        GainCellLlamaForCausalLM.from_pretrained(converted_folder, use_safetensors=False)


def test_loading_information_is_given_where_it_is_asked_for(converted_folder):
    load = GainCellLlamaForCausalLM.from_pretrained
    model, info = load(converted_folder, output_loading_info=True)
    assert isinstance(model, GainCellLlamaForCausalLM) and not info["missing_keys"]
