"""How a gain-cell model comes to its cache of codes: in a forward pass, and in `generate`."""

import inspect
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from ml.attention import registered as attention
from ml.attention.cache import CodeCache
from ml.attention.cache_argument import NAME, take_cache
from ml.attention.heads import heads_of
from ml.attention.padding import padding_mask
from ml.errors import ModelError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
GUIDED = ("greedy_search", "sample")  # modes in which transformers' guidance follows the tokens


class NoCache:
    """Stands for the cache of a forward pass that kept none because gradients were on.

    It is false, and an error where it comes back as a cache: without what came before, the model
    would see the new tokens alone.
    """

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NoCache()"


NO_CACHE = NoCache()


class CodeGeneration(PreTrainedModel):
    """A model of transformers whose cache is a CodeCache, and no other."""

    config: Any

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.register_forward_pre_hook(_give_cache, with_kwargs=True)
        self.register_forward_hook(_say_no_cache, with_kwargs=True)

    def generate(self, *args: Any, **options: Any) -> Any:
        """As transformers does: greedy search, sampling, beams, assisted or guided generation.

        The cache may have either name. Raises ModelError for one that is no CodeCache, and for
        what a CodeCache cannot do.
        """
        name, cache = take_cache(options)
        _check_cache(name, cache, options.get("cache_implementation"))
        if cache is not None:
            options[NAME] = cache
        return super().generate(*args, **options)  # pyright: ignore[reportAttributeAccessIssue]

    def init_continuous_batching(self, *_: Any, **__: Any) -> Any:
        """Raise ModelError: it packs sequences into one, on attention of its own."""
        raise ModelError(
            "continuous batching (generate_batch) has a cache of its own, the hardware codes: "
            "use generate, with a batch padded on the left"
        )

    def _prepare_cache_for_generation(
        self, generation_config: Any, model_kwargs: dict[str, Any], mode: Any, *_: Any
    ) -> None:
        """What `generate` calls to make a cache, unless it was given one."""
        settings, name, given = generation_config, mode.value, model_kwargs.get(NAME)
        _check_cache(NAME, given, settings.cache_implementation)
        if settings.guidance_scale not in (None, 1) and name not in GUIDED:
            raise ModelError(
                f"guidance_scale is {settings.guidance_scale} in {name}: transformers loses "
                f"track of the unguided tokens there; allowed is {' or '.join(GUIDED)}"
            )
        if name == "assisted_generation" and not settings.use_cache:
            raise ModelError(
                f"use_cache is False in {name}, which takes guesses back from the cache: "
                "leave it out"
            )
        if settings.assistant_early_exit is not None:
            raise ModelError(
                f"assistant_early_exit is {settings.assistant_early_exit}: a CodeCache is of all "
                "layers; give a smaller assistant_model, or prompt_lookup_num_tokens"
            )
        if given is not None:
            given._is_user_defined = True  # it outlives `generate`, as transformers marks it
        elif settings.use_cache:
            model_kwargs[NAME] = CodeCache(heads_of(self))
            if settings.is_assistant:
                model_kwargs[NAME].activate_past_recording()


def _check_cache(name: str, cache: Any, implementation: str | None = None) -> None:
    """Raise ModelError for anything but a CodeCache or None as the argument `name`."""
    if isinstance(cache, NoCache):
        raise ModelError(
            "the forward pass before kept no cache, because gradients were on: decode inside "
            "torch.no_grad(), or give that pass use_cache=True"
        )
    if cache is not None and not isinstance(cache, CodeCache):
        raise ModelError(
            f"{name} is of type {type(cache).__name__}: allowed is a CodeCache of "
            "ml.attention.cache, CodeCache(heads_of(model))"
        )
    if implementation is not None:
        raise ModelError(
            f"cache_implementation is {implementation!r}: the hardware keeps codes, in a CodeCache "
            "of ml.attention.cache; leave it out, of model.generation_config as well"
        )


@lru_cache
def _names(model_class: type) -> list[str]:
    """The arguments of a forward pass in their order."""
    return list(inspect.signature(model_class.forward).parameters)[1:]  # pyright: ignore


def _give_cache(model: CodeGeneration, args: tuple[Any, ...], options: dict[str, Any]) -> Arguments:
    """Before each forward pass: a cache of codes where one is wanted, which has no gradients."""
    named = dict(zip(_names(type(model)), args, strict=False))
    if named.keys() & options.keys():
        return args, options  # which Python refuses
    options = named | options
    if model.config._attn_implementation != attention.NAME:
        raise ModelError(
            f"attention is {model.config._attn_implementation!r}: a gain-cell model runs on "
            f"{attention.NAME!r} alone; model.set_attn_implementation({attention.NAME!r})"
        )
    name, cache = take_cache(options)
    _check_cache(name, cache)
    use = options.get("use_cache")
    if use is None:
        wanted = model.config.use_cache
        use = NO_CACHE if wanted and torch.is_grad_enabled() else wanted
    if model.training and (use or cache is not None):
        raise ModelError(
            "use_cache in training: a cache of codes has no gradients, set it to False"
        )
    if use and cache is None:
        cache = CodeCache(heads_of(model))
    _check_tokens(model, cache, options)
    return (), options | {NAME: cache, "use_cache": use}


def _check_tokens(model: CodeGeneration, cache: CodeCache | None, options: dict[str, Any]) -> None:
    """Raise ModelError unless mask and positions are those of the tokens, behind the cache's."""
    tokens = options.get("input_ids")
    tokens = options.get("inputs_embeds") if tokens is None else tokens
    if tokens is None:
        return  # which the model refuses
    batch, new = tokens.shape[:2]
    seen = 0 if cache is None else cache.get_seq_length()
    if new == 0:
        raise ModelError(
            f"no tokens behind the {seen} in the cache: give those that follow, or to `generate` "
            "the whole text with them"
        )
    mask = padding_mask(options.get("attention_mask"), (batch, seen + new), tokens.device)
    places: Tensor | None = options.pop("cache_position", None)
    if places is not None and places.tolist() != list(range(seen, seen + new)):
        raise ModelError(
            f"cache_position is {places.tolist()}: {new} tokens behind the {seen} in the cache "
            "have the places behind those; leave it out"
        )
    if cache is not None:
        cache.admit(heads_of(model), (batch, new), mask, options.get("position_ids"))


def _say_no_cache(
    model: CodeGeneration, args: tuple[Any, ...], options: dict[str, Any], output: Any
) -> None:
    """After a forward pass that kept no cache unasked: say so in its output, unless it trains."""
    unasked = options.get("use_cache") is NO_CACHE
    if unasked and isinstance(output, ModelOutput) and output.get("loss") is None:
        output[NAME] = NO_CACHE
