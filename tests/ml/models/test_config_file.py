"""config.json and its neighbours: what cannot be is refused, and what real models have is not."""

import json
from typing import Any

import pytest
from transformers import GPT2Config, LlamaConfig, MistralConfig, Qwen2Config

from common.errors import ArtefactError
from ml.errors import ModelError
from ml.models.config_file import check_entries, check_folder, check_tokenizer_settings
from tests.ml.families import GPT2_SIZES, SIZES

LLAMA = {"model_type": "llama", **SIZES}
GPT2 = {"model_type": "gpt2", **GPT2_SIZES}
OURS = {**LLAMA, "model_type": "gaincell_llama", "stage": "cubic", "mixing": True, "codes_hash": ""}
ROPE = {"rope_type": "linear", "rope_theta": 1e4}

REAL: dict[str, dict[str, Any]] = {
    "GPT-2 as published": GPT2
    | {"n_ctx": 1024, "activation_function": "gelu_new", "task_specific_params": {"a": {"b": 1}}},
    "Llama 3.2": LLAMA
    | {
        "torch_dtype": "bfloat16",
        "eos_token_id": [2, 3],
        "head_dim": 16,
        "pretraining_tp": 1,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
    },
    "Llama 1": LLAMA | {"num_key_value_heads": None, "pad_token_id": -1, "rope_scaling": None},
    "Mistral": LLAMA | {"model_type": "mistral", "sliding_window": 4096, "rope_theta": 10000},
    "Mistral Nemo": LLAMA | {"model_type": "mistral", "head_dim": 32, "sliding_window": None},
    "Qwen2.5": LLAMA
    | {
        "model_type": "qwen2",
        "sliding_window": 32768,
        "use_sliding_window": False,
        "max_window_layers": 21,
        "attention_dropout": 0.0,
    },
    "of ours": OURS,
}


@pytest.mark.parametrize("tree", REAL.values(), ids=REAL)
def test_real_models_are_not_refused(tree):
    check_entries(tree, tree["model_type"], "config.json")


@pytest.mark.parametrize("config", [GPT2Config, LlamaConfig, MistralConfig, Qwen2Config])
def test_what_transformers_writes_is_not_refused(config, tmp_path):
    config().save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    assert check_folder(tmp_path, [config.model_type]) == tree


@pytest.mark.parametrize(
    ("tree", "changes", "message"),
    [
        (LLAMA, {"vocab_size": "50"}, "vocab_size = '50': Input should be a valid integer"),
        (LLAMA, {"hidden_size": None}, "hidden_size = None: Input should be a valid integer"),
        (LLAMA, {"num_attention_heads": True}, "num_attention_heads = True: Input should be a val"),
        (LLAMA, {"num_attention_heads": 4.0}, "num_attention_heads = 4.0: Input should be a valid"),
        (LLAMA, {"num_attention_heads": 0}, "num_attention_heads = 0: Input should be greater "),
        (LLAMA, {"num_attention_heads": -4}, "num_attention_heads = -4: Input should be greater "),
        (LLAMA, {"num_attention_heads": ...}, "num_attention_heads: Field required"),
        (LLAMA, {"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000: Input should be le"),
        (LLAMA, {"hidden_size": 66}, "hidden_size = 66: must be a multiple of num_attention_heads"),
        (LLAMA, {"num_key_value_heads": 3}, "num_attention_heads = 4: must be a multiple of num_k"),
        (LLAMA, {"num_key_value_heads": 0}, "num_key_value_heads = 0: Input should be greater"),
        (LLAMA, {"head_dim": 15}, "heads of dimension 15: rotary positions need an even one"),
        (LLAMA, {"rms_norm_eps": "1e-6"}, "rms_norm_eps = '1e-6': Input should be a valid number"),
        (LLAMA, {"hidden_act": "tanx"}, "hidden_act = 'tanx': no activation that transformers k"),
        (LLAMA, {"max_position_embeddings": 0}, "max_position_embeddings = 0: Input should be"),
        (LLAMA, {"dtype": "cat"}, "dtype = 'cat': Input should be 'float32', "),
        (LLAMA, {"pad_token_id": 50}, "pad_token_id = 50: must be below vocab_size = 50"),
        (LLAMA, {"attn_implementation": "a/kernel"}, "attn_implementation = 'a/kernel': Input"),
        (LLAMA, {"rope_scaling": ROPE | {"factor": 0}}, "rope_scaling.factor = 0: Input should be"),
        (LLAMA, {"rope_parameters": ROPE | {"rope_type": "x"}}, "rope_parameters.rope_type = 'x'"),
        (LLAMA, {"rope_parameters": [1]}, r"rope_parameters = \[1\]: Input should be a valid dict"),
        (LLAMA, {"rope_theta": -1.0}, "rope_theta = -1.0: Input should be greater than 0"),
        (LLAMA, {"auto_map": {"AutoConfig": "x.C"}}, "auto_map = .*: names code of the folder"),
        (
            LLAMA,
            {"quantization_config": {"bits": 4}},
            "quantization_config = .*: quantised",
        ),
        (
            LLAMA,
            {"per_layer_config": {"0": {}}},
            "per_layer_config = .*: layers of diff",
        ),
        (LLAMA, {"transformers_weights": "x"}, "transformers_weights = 'x': names another file"),
        (GPT2, {"n_head": 3}, "n_embd = 32: must be a multiple of n_head = 3"),
        (GPT2, {"n_embd": "32"}, "n_embd = '32': Input should be a valid integer"),
        (GPT2, {"attn_pdrop": 1.5}, "attn_pdrop = 1.5: Input should be less than 1"),
        (OURS, {"stage": "quartic"}, "stage = 'quartic': Input should be 'linear' or 'cubic'"),
        (OURS, {"mixing": "false"}, "mixing = 'false': Input should be a valid boolean"),
        (OURS, {"codes_hash": ...}, "codes_hash: Field required"),
    ],
)
def test_what_cannot_be_is_refused(tree, changes, message, tmp_path):
    changed = {name: value for name, value in (tree | changes).items() if value is not ...}
    (tmp_path / "config.json").write_text(json.dumps(changed))
    with pytest.raises(ArtefactError, match=rf"config\.json: {message}") as caught:
        check_folder(tmp_path, [tree["model_type"]])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: "),
        ("[]", r"needs an object, has \[\]$"),
        ('{"model_type": "llama", "model_type": "gpt2"}', "model_type: this key stands twice$"),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, "nested deeper than 64 levels$"),
        ('{"model_type": "llama", "vocab_size": NaN}', "vocab_size = NaN: needs a finite number"),
    ],
)
def test_what_is_no_object_of_json_is_refused(text, message, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ArtefactError, match=rf"config\.json: {message}"):
        check_folder(tmp_path, ["llama"])


@pytest.mark.parametrize(
    ("found", "types", "message"),
    [
        ("bert", ["gpt2", "llama"], r"model_type is 'bert', must be gpt2 or llama$"),
        (None, ["llama"], r"model_type is None, must be llama$"),
        (3, ["llama"], r"model_type is 3, must be llama$"),
        (
            "llama",
            ["gaincell_llama"],
            r"must be gaincell_llama; load it with transformers and ",
        ),
        ("gaincell_llama", ["llama"], r"must be llama; it is converted already$"),
    ],
)
def test_another_type_of_model_is_refused(found, types, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"model_type": found}))
    with pytest.raises(ModelError, match=message):
        check_folder(tmp_path, types)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('{"temperature": "hot"}', "temperature = 'hot': Input should be a valid number"),
        ('{"top_k": -5}', "top_k = -5: Input should be greater than or equal to 0"),
        ('{"eos_token_id": "</s>"}', "eos_token_id"),
    ],
)
def test_nonsense_about_generation_is_refused(text, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "generation_config.json").write_text(text)
    with pytest.raises(ArtefactError, match=rf"generation_config\.json: {message}"):
        check_folder(tmp_path, ["llama"])


def test_settings_of_a_tokenizer_are_checked(tmp_path):
    path = tmp_path / "tokenizer_config.json"
    path.write_text('{"model_max_length": 1000000000000000019884624838656}')
    check_tokenizer_settings(path)
    for text, message in (
        (
            '{"model_max_length": "many"}',
            "model_max_length = 'many': Input should be",
        ),
        ('{"auto_map": {"AutoTokenizer": ["x.T", null]}}', "auto_map = .*: names code of the fol"),
    ):
        path.write_text(text)
        with pytest.raises(ArtefactError, match=rf"tokenizer_config\.json: {message}"):
            check_tokenizer_settings(path)
