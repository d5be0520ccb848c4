import pytest
import torch
from transformers import GPT2Config, GPT2DoubleHeadsModel

from analog_models.spec import load_preset
from ml.errors import ModelError, SettingError
from ml.hf import convert, heads_of, set_hardware
from ml.hf.models import attention_modules
from tests.ml.hf.conftest import GPT2_SIZES, make_family


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
    calls = []
    for heads in heads_of(converted):
        heads.attend = lambda spec, q, k, v: calls.append((q, k, v)) or q
    with torch.no_grad():
        converted(hf_ids, use_cache=False)
    for heads, got, (q, _, _) in zip(heads_of(converted), seen, calls, strict=True):
        expected = heads.decode(q).transpose(1, 2).flatten(2)
        assert torch.equal(got, expected)
    assert all(q.shape[1] == 4 and k.shape[1] == 2 for q, k, _ in calls) or q.shape[1] == 2


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
