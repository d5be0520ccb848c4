"""`generate` in all its modes: as without a cache, or refused before the first token."""

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, StaticCache

from ml.attention.cache import CodeCache
from ml.attention.cache_argument import NAME, NAMES
from ml.errors import ModelError
from ml.models import convert, heads_of

PAD = 2  # what transformers guesses a mask from, where it is given none
PROMPT, TOKENS = 40, 12  # together more than three windows: some tokens are forgotten
PLAIN: dict[str, Any] = {
    "max_new_tokens": TOKENS,
    "do_sample": False,
    "pad_token_id": PAD,
    "eos_token_id": None,
}


@pytest.fixture
def model(llama, hf_spec) -> Any:
    return convert(llama, hf_spec).double()


@pytest.fixture
def prompts(hf_ids) -> Tensor:
    """Three prompts [3, PROMPT] without the token of padding."""
    return torch.where(hf_ids == PAD, 1, hf_ids)[:, :PROMPT]


@pytest.fixture
def repetitive(prompts) -> Tensor:
    """A prompt [1, 20] in which guesses are found."""
    return prompts[:1, :10].repeat(1, 2)


def generate(model: Any, ids: Tensor, **options: Any) -> Tensor:
    torch.manual_seed(5)
    return model.generate(ids, **PLAIN | {"attention_mask": torch.ones_like(ids)} | options)


# Modes of a batch, beside greedy search.
MODES: dict[str, dict[str, Any]] = {
    "greedy search": {},
    "sampling": {"do_sample": True, "temperature": 0.7},
    "beam search": {"num_beams": 3},
    "sampled beams": {"num_beams": 2, "do_sample": True},
    "several answers": {"num_return_sequences": 2, "do_sample": True},
    "several beams of one": {"num_beams": 3, "num_return_sequences": 2},
    "guidance": {"guidance_scale": 1.7},
    "sampling with guidance": {"guidance_scale": 0.6, "do_sample": True},
    "penalties": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
}


@pytest.mark.parametrize("padded", [False, True], ids=["", "padded"])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_every_mode_gives_what_it_gives_without_a_cache(mode, padded, model, prompts):
    mask = torch.ones_like(prompts)
    if padded:
        mask[1, :6], mask[2, :37] = 0, 0
    options = mode | {"attention_mask": mask}
    cached = generate(model, prompts, **options)
    assert torch.equal(cached, generate(model, prompts, use_cache=False, **options))
    assert len(cached[:, PROMPT:].unique()) > 5


def test_guidance_away_from_another_prompt(model, prompts):
    options = {"guidance_scale": 1.7, "negative_prompt_ids": prompts.flip(1)[:, :7]}
    cached = generate(model, prompts, **options)
    assert torch.equal(cached, generate(model, prompts, use_cache=False, **options))
    assert not torch.equal(cached, generate(model, prompts))


@pytest.mark.parametrize("guesses", [3, 30])
@pytest.mark.parametrize("padding", [0, 5])
def test_guesses_from_the_prompt_change_nothing(guesses, padding, model, repetitive):
    """Also more guesses at once than the window has tokens."""
    mask = (torch.arange(20) >= padding).long()[None]
    options = {"attention_mask": mask, "max_new_tokens": 40}
    expected = generate(model, repetitive, **options)
    options["prompt_lookup_num_tokens"] = guesses
    assert torch.equal(generate(model, repetitive, **options), expected)


@pytest.mark.parametrize("helper", ["itself", "its linear model", "softmax"])
def test_an_assistant_changes_nothing(helper, model, llama, hf_spec, repetitive):
    assistants = {
        "itself": lambda: model,
        "its linear model": lambda: convert(llama, hf_spec, "linear").double(),
        "softmax": lambda: copy.deepcopy(llama).double(),
    }
    expected = generate(model, repetitive)
    assert torch.equal(generate(model, repetitive, assistant_model=assistants[helper]()), expected)


@pytest.mark.parametrize("size", [3, 100])
def test_a_prompt_may_come_in_parts(size, model, prompts):
    got = generate(model, prompts, prefill_chunk_size=size)
    assert torch.equal(got, generate(model, prompts))


@pytest.mark.parametrize("name", NAMES)
def test_a_cache_of_ones_own_goes_on(name, model, prompts):
    """With the whole text, as transformers wants it, or refused where that is forgotten."""
    cache = CodeCache(heads_of(model))
    expected = generate(model, prompts)
    first = generate(model, prompts, max_new_tokens=TOKENS // 2, **{name: cache})
    assert torch.equal(
        generate(model, first, max_new_tokens=TOKENS // 2, **{name: cache}), expected
    )
    assert cache.get_seq_length() == PROMPT + TOKENS - 1
    with pytest.raises(ModelError, match=r"^position_ids do not count on by 1 behind the 51"):
        generate(model, prompts, **{name: cache})


def test_what_is_returned_may_be_gone_on_with(model, prompts):
    out: Any = generate(model, prompts, return_dict_in_generate=True, output_scores=True)
    assert isinstance(out[NAME], CodeCache) and len(out.scores) == TOKENS
    again = generate(model, out.sequences, max_new_tokens=3, **{NAME: out[NAME]})
    assert torch.equal(again, generate(model, out.sequences, max_new_tokens=3, use_cache=False))


def test_embeddings_may_stand_for_the_prompt(model, prompts):
    embedded = model.get_input_embeddings()(prompts)
    got = model.generate(inputs_embeds=embedded, **PLAIN)
    assert torch.equal(got, generate(model, prompts)[:, PROMPT:])


CACHES = {
    "DynamicCache": lambda config: DynamicCache(),
    "StaticCache": lambda config: StaticCache(config=config, max_cache_len=64),
    "tuple": lambda config: ((torch.zeros(1), torch.zeros(1)),),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", CACHES)
def test_another_cache_is_refused(kind, name, model, prompts):
    cache: Any = CACHES[kind](model.config)
    allowed = r"allowed is a CodeCache of ml.attention.cache, CodeCache\(heads"
    message = rf"^{name} is of type {kind}: {allowed}"
    with pytest.raises(ModelError, match=message):
        generate(model, prompts, **{name: cache})
    for gradients in (True, False):
        with pytest.raises(ModelError, match=message), torch.set_grad_enabled(gradients):
            model(prompts, **{name: cache})


def test_two_caches_are_refused(model, prompts):
    caches = {name: CodeCache(heads_of(model)) for name in NAMES}
    with pytest.raises(
        ModelError, match=r"^cache and past_key_values are both given: they are one"
    ):
        generate(model, prompts, **caches)
    with torch.no_grad():
        model(prompts, **caches | {NAMES[1]: None})
        with pytest.raises(ModelError, match=r"are both given: they are one argument; give one$"):
            model(prompts, **caches)


@pytest.mark.parametrize(
    "kind", ["dynamic", "static", "offloaded", "offloaded_static", "quantized", "paged"]
)
def test_another_cache_cannot_be_asked_for(kind, model, prompts):
    message = rf"^cache_implementation is '{kind}': the hardware keeps codes, in a CodeCache of"
    with pytest.raises(ModelError, match=message):
        generate(model, prompts, cache_implementation=kind)
    config = GenerationConfig(**PLAIN, cache_implementation=kind)
    with pytest.raises(ModelError, match=message):
        model.generate(prompts, generation_config=config)


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "guidance of beams": (
        {"guidance_scale": 1.7, "num_beams": 2},
        ModelError,
        r"^guidance_scale is 1.7 in beam_search: transformers loses track",
    ),
    "guidance of guesses": (
        {"guidance_scale": 1.7, "prompt_lookup_num_tokens": 3},
        ModelError,
        r"^guidance_scale is 1.7 in assisted_generation: transformers loses track",
    ),
    "an early exit": (
        {"assistant_early_exit": 1},
        ModelError,
        r"^assistant_early_exit is 1: a CodeCache is of all layers; give a smaller",
    ),
    "guesses without a cache": (
        {"prompt_lookup_num_tokens": 3, "use_cache": False},
        ModelError,
        r"^use_cache is False in assisted_generation, which takes guesses back from the cache",
    ),
    "a prompt in parts without a cache": (
        {"prefill_chunk_size": 3, "use_cache": False},
        ValueError,
        "without a cache",
    ),
    "contrastive search": (
        {"penalty_alpha": 0.6, "top_k": 4},
        ValueError,
        "^Contrastive Search requires",
    ),
}


@pytest.mark.parametrize(("options", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_a_cache_of_codes_cannot_do_is_refused(options, error, message, model, repetitive):
    with pytest.raises(error, match=message) as caught:
        generate(model, repetitive, **options)
    assert "\n" not in str(caught.value)
    assert torch.equal(generate(model, repetitive), generate(model, repetitive, use_cache=False))


def test_guesses_for_a_batch_are_refused(model, prompts):
    with pytest.raises(ValueError, match="only supported for batch_size = 1"):
        generate(model, prompts, prompt_lookup_num_tokens=3)


def test_continuous_batching_is_refused(model, prompts):
    with pytest.raises(ModelError, match=r"^continuous batching \(generate_batch\) has a cache of"):
        model.generate_batch(prompts.tolist(), generation_config=GenerationConfig(**PLAIN))


def test_a_model_on_other_attention_is_refused(model, prompts):
    expected = generate(model, prompts)
    model.set_attn_implementation("sdpa")
    with pytest.raises(ModelError, match=r"^attention is 'sdpa': a gain-cell model runs on 'gain"):
        generate(model, prompts)
    model.set_attn_implementation("gaincell")
    assert torch.equal(generate(model, prompts), expected)


def test_greedy_search_of_every_family(converted, hf_ids):
    cached = generate(converted, hf_ids[:, :PROMPT])
    assert torch.equal(cached, generate(converted, hf_ids[:, :PROMPT], use_cache=False))
    assert len(cached[:, PROMPT:].unique()) > 3


def test_a_padded_batch_generates_what_each_prompt_does(converted, hf_ids):
    prompts = [hf_ids[0, :9], hf_ids[1, :4]]
    batch, mask = torch.zeros(2, 9, dtype=torch.long), torch.zeros(2, 9, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        batch[row, 9 - len(prompt) :] = prompt
        mask[row, 9 - len(prompt) :] = 1
    together = generate(converted, batch, attention_mask=mask)[:, 9:]
    for row, prompt in enumerate(prompts):
        alone = generate(converted, prompt[None])
        assert torch.equal(together[row], alone[0, len(prompt) :])


def test_nothing_that_transformers_wants_to_end_is_used(model, prompts, caplog):
    """Neither a warning nor a line in its log, under either name of the cache."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        for name in NAMES:
            cache = CodeCache(heads_of(model))
            generate(model, prompts, **{name: cache})
            cache.reset()
            out = model(prompts, **{name: cache})
            assert out[NAME] is cache
    assert not [r for r in caplog.records if "deprecated" in r.getMessage()]
