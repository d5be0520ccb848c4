from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2DoubleHeadsModel

from analog_models.spec import load_preset
from ml.attention.backend import Recording
from ml.attention.heads import using
from ml.errors import ModelError, SettingError
from ml.models import convert, heads_of, set_hardware
from ml.models.families import attention_modules
from ml.models.folders import load_converted
from tests.ml.families import GPT2_SIZES, make_family


def output_projection(module):
    return module.c_proj if hasattr(module, "c_proj") else module.o_proj


def test_everything_but_attention_stays(family, hf_spec):
    converted = convert(family, hf_spec)
    own, old = converted.state_dict(), family.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in old.items())
    assert converted.get_input_embeddings().weight is not family.get_input_embeddings().weight
    assert converted.lm_head.weight is converted.get_input_embeddings().weight
    extra = {name for name in own if name not in old}
    assert all(".heads." in name or name.endswith("o_proj.bias") for name in extra)
    assert not converted.training and converted.dtype == family.dtype


def test_attention_is_that_of_the_heads(family, hf_spec, hf_ids):
    """The output of every attention module, from its own projections and heads."""
    converted, seen = convert(family, hf_spec), []
    for module in attention_modules(converted):
        output_projection(module).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    recording = Recording()
    with torch.no_grad(), using(converted, recording):
        converted(hf_ids, use_cache=False)
    for layer, (heads, got) in enumerate(zip(heads_of(converted), seen, strict=True)):
        ((q, k, _, out),) = recording.codes[layer]
        expected = heads.decode(out.to(got.dtype)).transpose(1, 2).flatten(2)
        assert torch.equal(got, expected)
        assert (q.shape[1], k.shape[1]) == (heads.query_heads, heads.kv_heads)


def test_stages_differ_in_the_cell_only(llama, hf_spec, hf_ids):
    linear, cubic = (convert(llama, hf_spec, stage) for stage in ("linear", "cubic"))
    assert cubic.config.spec is hf_spec and cubic.config.stage == "cubic"
    assert linear.config.spec.codes_hash == hf_spec.linearised().codes_hash
    assert linear.config.codes_hash == linear.config.spec.codes_hash
    again = convert(llama, linear.config.spec, "linear")
    assert again.config.spec is linear.config.spec
    with torch.no_grad():
        assert not torch.equal(linear(hf_ids).logits, cubic(hf_ids).logits)
        set_hardware(linear, hf_spec, "cubic")
        assert torch.equal(linear(hf_ids).logits, cubic(hf_ids).logits)
    assert (linear.config.codes_hash, linear.config.stage) == (hf_spec.codes_hash, "cubic")


def test_the_model_given_is_left_alone(llama, hf_spec, hf_ids):
    with torch.no_grad():
        before = llama(hf_ids).logits
        converted = convert(llama, hf_spec)
        for parameter in converted.parameters():
            parameter.zero_()
        assert torch.equal(llama(hf_ids).logits, before)
    assert llama.config.model_type == "llama" and llama.config._attn_implementation == "sdpa"


def test_half_precision_keeps_heads_in_single(llama, hf_spec, hf_ids):
    converted = convert(llama.to(torch.bfloat16), hf_spec)
    assert converted.dtype == torch.bfloat16
    assert {p.dtype for h in heads_of(converted) for p in h.parameters()} == {torch.float32}
    with torch.no_grad():
        assert converted(hf_ids).logits.dtype == torch.bfloat16


ROPES: dict[str, dict[str, Any]] = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
}
TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
FEW = [  # each family, kind of positions, type, stage, tied or not, in one file or in shards
    ("gpt2", "default", torch.bfloat16, {"stage": "linear"}, True, None),
    ("gpt2", "default", torch.float16, {"mixing": False}, False, "20KB"),
    ("llama", "default", torch.bfloat16, {}, True, None),
    ("llama", "linear", torch.float16, {"stage": "linear"}, False, "20KB"),
    ("llama", "dynamic", torch.bfloat16, {"mixing": False}, False, None),
    ("llama", "llama3", torch.float32, {}, True, "20KB"),
    ("mistral", "default", torch.float16, {"mixing": False}, True, "20KB"),
    ("mistral", "yarn", torch.bfloat16, {"stage": "linear"}, False, None),
    ("qwen2", "default", torch.bfloat16, {"mixing": False}, False, "20KB"),
    ("qwen2", "yarn", torch.float64, {"stage": "linear"}, True, None),
]
EVERY = [
    (family, rope, dtype, options, tied, shard)
    for family in ("gpt2", "llama", "mistral", "qwen2")
    for rope in (["default"] if family == "gpt2" else ROPES)
    for dtype in TYPES
    for options, tied, shard in (({}, True, None), ({"mixing": False}, False, "20KB"))
]


@torch.no_grad()
def check_reloaded(folder, spec, ids, family, rope, dtype, options, tied, shard) -> None:
    """Fail unless a converted model and what is loaded of it are equal, bit for bit."""
    sizes: dict[str, Any] = {"tie_word_embeddings": tied}
    if family != "gpt2":
        positions = {"rope_theta": 1e4, **ROPES[rope]}
        sizes |= {"max_position_embeddings": 128, "rope_parameters": positions}
    base = make_family(family, **sizes).to(dtype)
    base(ids)  # positions that are dynamic have moved
    converted = convert(base, spec, **options)
    for name, tensor in base.state_dict().items():
        own = converted.state_dict()[name]
        assert own.dtype == tensor.dtype and torch.equal(own, tensor), name
    converted.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    loaded = load_converted(folder)
    for kind in ("state_dict", "named_buffers"):  # the first has no buffer that is computed
        ours, theirs = (dict(getattr(model, kind)()) for model in (converted, loaded))
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert theirs[name].dtype == tensor.dtype, name
            assert torch.equal(theirs[name], tensor), name
    one, other = converted(ids).logits, loaded(ids).logits
    assert one.dtype == other.dtype == dtype and torch.equal(one, other)


@pytest.mark.parametrize(
    "case", FEW, ids=lambda c: f"{c[0]}-{c[1]}-{str(c[2]).removeprefix('torch.')}"
)
def test_a_converted_model_is_what_is_loaded_of_it(case, hf_spec, hf_ids, tmp_path):
    check_reloaded(tmp_path, hf_spec, hf_ids, *case)


@pytest.mark.slow
def test_a_converted_model_is_what_is_loaded_of_it_whatever_it_is(hf_spec, hf_ids, tmp_path):
    for i, case in enumerate(EVERY):
        check_reloaded(tmp_path / str(i), hf_spec, hf_ids[:1], *case)


def test_a_model_of_several_types_takes_the_widest(llama, hf_spec):
    llama.to(torch.bfloat16).model.norm.float()
    llama.model.norm.weight.data[0] = 1.0 + 2**-20
    converted = convert(llama, hf_spec)
    assert {p.dtype for p in converted.parameters()} == {torch.float32}
    for name, tensor in llama.state_dict().items():
        assert torch.equal(converted.state_dict()[name], tensor.float()), name


def spoilt(change) -> Any:
    model = make_family("llama")
    change(model)
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.model.norm.weight.data.fill_(torch.nan), r"tensor model.norm.weight holds a"),
        (lambda m: m.lm_head.weight.data[:1].fill_(torch.inf), r"embed_tokens.weight holds a val"),
        (lambda m: m.config.update({"quantization_config": {"bits": 4}}), r"weights are quantised"),
        (lambda m: m.config.update({"num_key_value_heads": 3}), r"heads is 4, must be a multiple"),
        (
            lambda m: m.config.update({"layer_types": ["sliding_attention"]}),
            r"layer_types is \['sl",
        ),
        (
            lambda m: m.set_output_embeddings(torch.nn.Linear(64, 50, bias=False)),
            r"embed_tokens.weight and lm_head.weight differ, but tie_word_embeddings",
        ),
    ],
)
def test_a_model_that_is_not_whole_is_refused(change, message, hf_spec):
    with pytest.raises(ModelError, match=message):
        convert(spoilt(change), hf_spec)


def test_training_reaches_the_heads_and_the_projections(family, hf_spec, hf_ids):
    converted = convert(family, hf_spec).train()
    converted(hf_ids, labels=hf_ids).loss.backward()
    for module in attention_modules(converted):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_dropout_of_attention_is_set_to_0_or_refused(hf_spec, hf_ids):
    converted = convert(make_family("gpt2", attn_pdrop=0.1), hf_spec).train()
    assert converted.config.attn_pdrop == 0.0
    attention_modules(converted)[0].attn_dropout.p = 0.1
    with pytest.raises(ModelError, match=r"^attention dropout is 0.1: the hardware has none"):
        converted(hf_ids)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: make_family("llama", num_attention_heads=2),
            r"dimension 32",
        ),
        (lambda: make_family("mistral", sliding_window=8), r"sliding_window is 8; set it to None"),
        (lambda: make_family("gpt2", add_cross_attention=True), r"add_cross_attention is set"),
        (
            lambda: GPT2DoubleHeadsModel(GPT2Config(**GPT2_SIZES)),
            r"^GPT2DoubleHeadsModel: att",
        ),
    ],
)
def test_what_the_hardware_cannot_do_is_refused(make, message, hf_spec):
    with pytest.raises(ModelError, match=message):
        convert(make(), hf_spec)


def test_refusals_say_what_to_do(llama, hf_spec):
    with pytest.raises(SettingError, match=r"^stage is 'quartic', must be one of linear, cubic"):
        convert(llama, hf_spec, "quartic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError, match=r"spec.replace\(geometry__head_dim=16\)$"):
        convert(llama, load_preset())
    converted = convert(llama, hf_spec)
    with pytest.raises(ModelError, match=r"converted already"):
        convert(converted, hf_spec)
    with pytest.raises(ModelError, match=r"heads of the model have dimension 16: specification"):
        set_hardware(converted, load_preset(), "cubic")
