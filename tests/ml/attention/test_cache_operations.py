"""What one may do with a cache between two calls: it is right afterwards, or there is an error.

An operation takes the cache and the tokens that it has seen, and returns the tokens that it stands
for then. More tokens follow, and the logits must be those of a pass over all of them without a
cache: from the same codes, as one code more moves them by far more than `CLOSE`.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ml.attention.cache import CodeCache
from ml.attention.cache_argument import NAME
from ml.errors import ModelError
from ml.models import convert, heads_of, set_hardware
from tests.ml.families import make_family

CLOSE = 1e-6  # the model is in double precision, its norms in single
WINDOW = 16
SEEN = {"before the first lap ends": 10, "at its end": 16, "much forgotten": 53}
Operation = Callable[[CodeCache, Tensor], Tensor]


@pytest.fixture
def model(llama, hf_spec) -> Any:
    return convert(llama, hf_spec).double()


def after(model: Any, cache: CodeCache | None, ids: Tensor, **options: Any) -> Tensor:
    """Logits of `ids` [B, T] behind what the cache has seen."""
    with torch.no_grad():
        return model(ids, **{NAME: cache}, **options).logits


def whole(model: Any, ids: Tensor, **options: Any) -> Tensor:
    return after(model, None, ids, use_cache=False, **options)


def seen_by(model: Any, ids: Tensor, sizes: tuple[int, ...] | None = None) -> CodeCache:
    """A cache that has seen `ids` [B, T], in parts of these sizes."""
    cache = CodeCache(heads_of(model))
    for part in ids.split(list(sizes or (7,) * (ids.shape[1] // 7) + (ids.shape[1] % 7,)), dim=1):
        if part.shape[1]:
            after(model, cache, part)
    return cache


def same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=0, atol=CLOSE)


def recorded(cache: CodeCache, ids: Tensor) -> Tensor:
    cache.activate_past_recording()
    return ids


def cropped(removed: int) -> Operation:
    def operation(cache: CodeCache, ids: Tensor) -> Tensor:
        cache.crop(-removed)
        return ids[:, : ids.shape[1] - removed]

    return operation


def selected(rows: list[int] | list[bool]) -> Operation:
    def operation(cache: CodeCache, ids: Tensor) -> Tensor:
        cache.batch_select_indices(torch.tensor(rows))
        return ids[torch.tensor(rows)]

    return operation


def reordered(cache: CodeCache, ids: Tensor) -> Tensor:
    rows = torch.tensor([2, 0, 0])
    cache.reorder_cache(rows)
    return ids[rows]


def repeated(cache: CodeCache, ids: Tensor) -> Tensor:
    cache.batch_repeat_interleave(2)
    return ids.repeat_interleave(2, dim=0)


def reset(cache: CodeCache, ids: Tensor) -> Tensor:
    cache.reset()
    return ids[:2, :0]  # of another batch size


def cropped_to_nothing(cache: CodeCache, ids: Tensor) -> Tensor:
    cache.crop(-ids.shape[1])
    return ids[:2, :0]


RIGHT: dict[str, Operation] = {
    "nothing": lambda cache, ids: ids,
    "crop 0": cropped(0),
    "crop 1": cropped(1),
    "crop most of a window": cropped(9),
    "crop to nothing": cropped_to_nothing,
    "reorder": reordered,
    "repeat rows": repeated,
    "select rows": selected([2, 1]),
    "select rows by a mask": selected([True, False, True]),
    "reset": reset,
    "record the past": recorded,
    "crop, reorder and crop": lambda c, ids: cropped(1)(c, reordered(c, cropped(2)(c, ids))),
}


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("operation", RIGHT.values(), ids=RIGHT)
def test_what_follows_an_operation_is_right(operation, seen, model, hf_ids):
    cache = seen_by(model, hf_ids[:, :seen])
    stands_for = operation(cache, hf_ids[:, :seen])
    more = hf_ids.roll(1, 0)[: len(stands_for), :30]
    more = torch.cat((more, more[: len(stands_for) - len(more)]))  # for rows that were repeated
    got = [after(model, cache, part) for part in more.split([1, 1, 20, 1, 7], dim=1)]
    text = torch.cat((stands_for, more), dim=1)
    assert same(torch.cat(got, dim=1), whole(model, text)[:, stands_for.shape[1] :])
    assert cache.get_seq_length() == text.shape[1]


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_a_copy_goes_its_own_way(seen, model, hf_ids):
    first, second = hf_ids[:, :seen], hf_ids[:, -20:]
    cache = seen_by(model, first)
    copied = copy.deepcopy(cache)
    assert copied.layers[0].heads is heads_of(model)[0]
    after(model, copied, second.roll(1, 0))
    cache.reorder_cache(torch.tensor([1, 1, 0]))
    copied.crop(-20)
    assert same(
        after(model, copied, second),
        whole(model, hf_ids[:, [*range(seen), *range(-20, 0)]])[:, seen:],
    )


def test_everything_since_the_past_is_recorded_may_be_taken_back(model, hf_ids):
    """As assisted generation does, which may guess more tokens than the window has, one by one."""
    cache = seen_by(model, hf_ids[:, :50])
    cache.activate_past_recording()
    kept = hf_ids[:, :50]
    for guess, right in ((3, 1), (40, 0), (5, 5), (1, 1), (30, 20)):
        tokens = hf_ids.roll(guess, 1)[:, :guess]
        text = torch.cat((kept, tokens), dim=1)
        got = [after(model, cache, part) for part in tokens.split(7, dim=1)]
        assert same(torch.cat(got, dim=1), whole(model, text)[:, kept.shape[1] :])
        cache.crop(right - guess)
        kept = text[:, : kept.shape[1] + right]
        assert cache.layers[0].keys.shape[-2] < 3 * WINDOW


def spoiled(model: Any, cache: CodeCache) -> None:
    """As Ctrl-C between two layers leaves it."""
    layer: Any = cache.layers[1]
    layer.keys, layer.values = layer.keys[..., :-1, :], layer.values[..., :-1, :]


def on_linear_hardware(model: Any, cache: CodeCache) -> None:
    set_hardware(model, model.config.spec.linearised(), "linear")


# What is done before the next tokens come, and what is said then.
REFUSED: dict[str, tuple[Callable[[Any, CodeCache], Any], str]] = {
    "more taken back than there is": (
        lambda model, cache: cache.crop(-54),
        r"^crop\(-54\): the cache has 53 tokens; give how many to take back as a number from -53",
    ),
    "a size instead of a number to take back": (
        lambda model, cache: cache.crop(40),
        r"^crop\(40\): the cache has 53 tokens",
    ),
    "more taken back than is kept": (
        lambda model, cache: cache.crop(-30),
        r"^crop\(-30\): the next token needs the codes of the 15 before it, and \d+ of them are",
    ),
    "other hardware": (
        on_linear_hardware,
        r"^the cache has codes for specification tiny \(\w+\), ",
    ),
    "another precision": (
        lambda model, cache: model.float(),
        r"^keys are torch.float32 on cpu, those in the cache were torch.float64 on cpu",
    ),
    "an interrupted pass": (
        spoiled,
        r"^layers of the cache have seen 52 to 53 tokens.*: reset it$",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_wrong_is_refused(spoil, message, model, hf_ids):
    cache = seen_by(model, hf_ids[:, :53])
    with pytest.raises(ModelError, match=message):
        spoil(model, cache)
        after(model, cache, hf_ids[:, 53:])


def test_a_refused_crop_changes_nothing(model, hf_ids):
    cache = seen_by(model, hf_ids[:, :53])
    with pytest.raises(ModelError):
        cache.crop(-30)
    assert same(after(model, cache, hf_ids[:, 53:]), whole(model, hf_ids)[:, 53:])


# What the next tokens come with, behind the 53 of the cache, and what is said.
WRONG: dict[str, tuple[Callable[[Tensor], dict[str, Any]], str]] = {
    "no tokens": (lambda ids: {"input_ids": ids[:, :0]}, r"^no tokens behind the 53 in the cache"),
    "another batch size": (
        lambda ids: {"input_ids": ids[:1]},
        r"^1 sequences for a cache of 3: use",
    ),
    "positions from 0": (
        lambda ids: {"position_ids": torch.arange(7)[None]},
        r"^position_ids do not count on by 1 behind the 53 tokens in the cache",
    ),
    "positions that jump": (
        lambda ids: {"position_ids": torch.tensor([[53, 54, 56, 57, 58, 59, 60]])},
        r"^position_ids do not count on by 1",
    ),
    "positions of another shape": (
        lambda ids: {"position_ids": torch.arange(53, 60)},
        r"^position_ids of shape \(7,\): allowed is one for each token, \(3, 7\)$",
    ),
    "a place in the cache": (
        lambda ids: {"cache_position": torch.arange(7)},
        r"^cache_position is \[0, 1, 2, 3, 4, 5, 6\]: 7 tokens behind the 53 in the cache",
    ),
    "a mask of the new tokens alone": (
        lambda ids: {"attention_mask": torch.ones(3, 7)},
        r"^attention mask of shape \(3, 7\): allowed is a padding mask .*, \(3, 60\)$",
    ),
    "a mask that hides what was seen": (
        lambda ids: {"attention_mask": (torch.arange(60) > 4).expand(3, -1)},
        r"^attention_mask says of the 53 tokens in the cache what it did not say when they came",
    ),
    "a mask for each kind of layer": (
        lambda ids: {"attention_mask": {"full_attention": torch.ones(3, 60)}},
        r"^attention mask of dict: allowed",
    ),
    "a whole mask": (
        lambda ids: {"attention_mask": torch.zeros(3, 1, 7, 60)},
        r"^attention mask of shape \(3, 1, 7, 60\): allowed",
    ),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_tokens_that_do_not_go_on_are_refused(wrong, message, model, hf_ids):
    cache = seen_by(model, hf_ids[:, :53])
    options = {"input_ids": hf_ids[:, 53:]} | wrong(hf_ids[:, 53:])
    with pytest.raises(ModelError, match=message), torch.no_grad():
        model(**{NAME: cache}, **options)
    got = after(model, cache, hf_ids[:, 53:], position_ids=torch.arange(53, 60)[None])
    assert same(got, whole(model, hf_ids)[:, 53:])  # it is as it was


def test_positions_may_be_given_or_not_and_start_anywhere(model, hf_ids):
    cache, places = CodeCache(heads_of(model)), torch.arange(5, 65)[None]
    got = [
        after(model, cache, hf_ids[:, :20], position_ids=places[:, :20]),
        after(model, cache, hf_ids[:, 20:21], position_ids=places[:, 20:21].expand(3, -1)),
    ]
    with pytest.raises(ModelError, match=r"^position_ids do not count on"):
        after(model, cache, hf_ids[:, 21:])
    got.append(after(model, cache, hf_ids[:, 21:], position_ids=places[:, 21:]))
    assert same(torch.cat(got, dim=1), whole(model, hf_ids, position_ids=places))


def test_packed_sequences_are_refused_with_a_cache_too(model, hf_ids):
    places = torch.cat((torch.arange(30), torch.arange(30)))[None]
    with pytest.raises(ModelError, match=r"packed sequences go row by row$"):
        after(model, CodeCache(heads_of(model)), hf_ids, position_ids=places)


@pytest.mark.parametrize("sizes", [(3, 30, 1, 1, 25), (60,), (1,) * 60])
def test_rows_that_start_late_go_on_as_alone(sizes, model, hf_ids):
    """Also one of which the first calls bring padding only, and one that ends before the others."""
    starts = torch.tensor([[4], [0], [11]])
    index = torch.arange(60)[None]
    mask = (index >= starts) & ~((starts == 4) & (index >= 58))
    places = (mask.cumsum(-1) - 1).clamp_min(0)
    cache, got, first = CodeCache(heads_of(model)), [], 0
    for stop in torch.tensor(sizes).cumsum(0).tolist():
        part = slice(first, stop)
        options = {"attention_mask": mask[:, :stop], "position_ids": places[:, part]}
        got.append(after(model, cache, hf_ids[:, part], **options))
        first = stop
    logits = torch.cat(got, dim=1)
    for row, stop in enumerate((58, 60, 60)):
        start = int(starts[row])
        alone = whole(model, hf_ids[row : row + 1, start:stop])
        assert same(logits[row : row + 1, start:stop], alone)
    for hidden in (None, mask | (index >= 58), mask):
        again = None if hidden is None else torch.nn.functional.pad(hidden, (0, 1), value=True)
        with pytest.raises(ModelError, match=r"^attention_mask (says|hides)"):
            after(
                model, cache, hf_ids[:, :1], attention_mask=again, position_ids=places[:, -1:] + 1
            )


def test_less_of_a_padded_batch_may_be_taken_back(model, hf_ids):
    """A row that starts 11 slots late has lost the first 11 of what is kept."""
    mask = torch.arange(60) >= torch.tensor([[0], [0], [11]])
    cache = CodeCache(heads_of(model))
    for first in range(0, 52, 4):
        after(model, cache, hf_ids[:, first : first + 4], attention_mask=mask[:, : first + 4])
    kept = cache.layers[0].keys.shape[-2]
    most = kept - (WINDOW - 1 + 11)
    with pytest.raises(ModelError, match=r"needs the codes of the 26 before it, and 1 of them are"):
        cache.crop(-most - 1)
    cache.crop(-most)
    got = after(model, cache, hf_ids[:, 52 - most :], attention_mask=mask)
    assert same(got, whole(model, hf_ids, attention_mask=mask)[:, 52 - most :])


def test_the_same_codes_on_hardware_of_another_schedule_go_on(model, hf_ids, hf_spec):
    cache = seen_by(model, hf_ids[:, :53])
    set_hardware(model, hf_spec.replace(schedules__overlapped__period=54), "cubic")
    assert same(after(model, cache, hf_ids[:, 53:]), whole(model, hf_ids)[:, 53:])


def test_a_cache_belongs_to_one_model(model, hf_ids):
    for other in (copy.deepcopy(model), convert(make_family("llama"), model.config.spec).double()):
        cache = seen_by(other, hf_ids[:, :20])
        with pytest.raises(ModelError, match=r"^the cache belongs to another model, or to a copy"):
            after(model, cache, hf_ids[:, 20:])
    with pytest.raises(ModelError, match=r"^the cache belongs to another model"):
        after(model, CodeCache(heads_of(model)[:1]), hf_ids)


def test_a_cache_from_a_file_belongs_to_no_model(model, hf_ids):
    stored = pickle.dumps(seen_by(model, hf_ids[:, :20]))
    with pytest.raises(ModelError, match=r"^the cache belongs to another model, or to a copy"):
        after(model, pickle.loads(stored), hf_ids[:, 20:])


def test_a_loop_without_no_grad_is_told_so(converted, hf_ids):
    model = converted
    out = model(hf_ids[:, :20])
    assert out.logits.requires_grad and not out[NAME]
    with pytest.raises(ModelError, match=r"^the forward pass before kept no cache, because grad"):
        model(hf_ids[:, 20:21], **{NAME: out[NAME]})
    assert model(hf_ids, use_cache=False).get(NAME) is None
    assert model(hf_ids, labels=hf_ids).get(NAME) is None  # a pass that trains
    model.train()
    with pytest.raises(ModelError, match=r"decode inside torch.no_grad\(\), or give that pass"):
        model(hf_ids[:, 20:21], **{NAME: model(hf_ids[:, :20])[NAME]})


def test_a_cache_that_one_asks_for_is_right_but_has_no_gradients(model, hf_ids):
    first = model(hf_ids[:, :20], use_cache=True)
    second = model(hf_ids[:, 20:], **{NAME: first[NAME]})
    expected = whole(model, hf_ids)
    assert same(torch.cat((first.logits, second.logits), dim=1), expected)
    with pytest.raises(ModelError, match=r"^a cache of codes has no gradients: give"):
        second.logits.sum().backward()
    model(hf_ids).logits.sum().backward()  # without a cache there are


def test_arguments_may_come_by_place(hf_spec, hf_ids):
    """The second of GPT-2's is the cache, the fourth of the others'."""
    for family, before in (("gpt2", ()), ("llama", (None, None))):
        model: Any = convert(make_family(family), hf_spec).double()
        cache = CodeCache(heads_of(model))
        with torch.no_grad():
            parts = [model(part, *before, cache).logits for part in hf_ids.split(20, dim=1)]
            assert same(torch.cat(parts, dim=1), whole(model, hf_ids))
            with pytest.raises(ModelError, match=r"is of type tuple: allowed is a CodeCache"):
                model(hf_ids, *before, ((hf_ids, hf_ids),))
            with pytest.raises(TypeError, match="multiple values"):
                model(hf_ids, input_ids=hf_ids)
