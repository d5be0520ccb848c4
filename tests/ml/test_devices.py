"""Results lie where the codes do, whatever torch's default device is."""

import ast
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import analog_models
import ml
from analog_models.attend import causal_attention
from analog_models.spec import HardwareSpec, overlaid
from analog_models.variation import head_variations
from common.errors import CodeError
from ml.adapt.initialise import Mapping, initialise
from ml.adapt.student import new_student
from ml.attention import decode
from ml.attention import fast as fast_module
from ml.attention.decode import attend_slots, step
from ml.attention.exact import exact_attention
from ml.attention.fast import fast_attention
from ml.attention.precision import doubles
from ml.attention.surrogate import SurrogateOps
from ml.errors import ModelError
from tests.ml import tiny
from tests.ml.codes import random_codes
from tests.ml.families import EXACT

TOKENS = 45  # beyond the window of 32
MAKERS = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn"} | {
    *("randperm", "tensor", "zeros")
}
IDS = {
    "ml/evaluate/golden.py",
    "ml/train/own_text.py",
}  # token ids: on the default device, as models are


def imperfectly(spec: HardwareSpec, q, k, v) -> torch.Tensor:
    """Two heads of their own hardware, as far as the window goes."""
    typical, tokens = overlaid(spec, "typical"), spec.geometry.window
    drawn = head_variations(typical, range(2), q)
    noise = np.random.default_rng(3)
    q, k, v = (x[:, :2, :tokens] for x in (q, k, v))
    return causal_attention(typical, q, k, v, variation=drawn, noise=noise)


def trained(spec: HardwareSpec, q, k, v) -> torch.Tensor:
    """Gradients of the queries, of a kernel made anew."""
    fast_module.plan_of.cache_clear()
    q = q.detach().clone().requires_grad_()
    fast_attention(spec, q, k, v).square().sum().backward()
    assert q.grad is not None
    return q.grad


def one_token(spec: HardwareSpec, q, k, v) -> torch.Tensor:
    decode.tables.cache_clear()
    window = spec.geometry.window
    age = torch.arange(window - 1, -1, -1, device=q.device)[None]
    k, v = (x[:, :, :window].byte() for x in (k, v))
    return attend_slots(spec, q[:, :, 0], k, v, age)


KINDS: dict[str, Callable[..., torch.Tensor]] = {
    "exact": exact_attention,
    "fast": fast_attention,
    "surrogate": partial(exact_attention, ops=SurrogateOps()),
    "imperfect": imperfectly,
    "training": trained,
    "one_token": one_token,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_results_lie_where_the_codes_do(kind, dtype, tiny_spec, generator):
    """On `meta`, which has shapes and no values: a tensor of another device is an error."""
    codes = [x.to(dtype) for x in random_codes(tiny_spec, generator, 4, 2, TOKENS)]
    expected = KINDS[kind](tiny_spec, *codes)
    got = KINDS[kind](tiny_spec, *(x.to("meta") for x in codes))
    assert got.device.type == "meta"
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_device_of_torch_is_no_part_of_it(kind, tiny_spec, generator):
    codes = random_codes(tiny_spec, generator, 4, 2, TOKENS)
    expected = KINDS[kind](tiny_spec, *codes)
    with torch.device("meta"):
        got = KINDS[kind](tiny_spec, *codes)
    assert torch.equal(got, expected)


def test_a_token_is_decoded_where_the_codes_are(tiny_spec, generator):
    q, k, v = random_codes(tiny_spec, generator, 4, 2, TOKENS)
    with torch.device("meta"):
        got = step(tiny_spec, q[..., -1:, :], k.byte(), v.byte())
    assert torch.equal(got, exact_attention(tiny_spec, q, k, v)[..., -1:, :])


@torch.no_grad()
def test_models_are_initialised_where_their_texts_are(tiny_gpt2, texts):
    expected, got = (new_student(tiny_gpt2.model, tiny.tiny_spec(), "linear", EXACT) for _ in "ab")
    initialise(expected, tiny_gpt2, texts, Mapping())
    with torch.device("meta"):
        initialise(got, tiny_gpt2, texts, Mapping())
    for a, b in zip(got.model.parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("attend", [exact_attention, fast_attention])
def test_codes_on_two_devices_are_refused(attend, tiny_spec, generator):
    q, k, v = random_codes(tiny_spec, generator, 2, 2, 9)
    with pytest.raises(CodeError, match=r"^q, k, v are on devices cpu, meta, cpu: need one$"):
        attend(tiny_spec, q, k.to("meta"), v)


def test_codes_of_two_types_never_reach_the_kernel(tiny_spec, generator):
    q, k, v = random_codes(tiny_spec, generator, 2, 2, 9)
    expected = exact_attention(tiny_spec, q, k, v)
    assert torch.equal(fast_attention(tiny_spec, q.float(), k, v), expected)


def test_a_device_without_double_precision_is_named():
    class Single(torch.Tensor):  # what a tensor on Apple's mps does
        def double(self, *_: object, **__: object) -> torch.Tensor:
            raise TypeError("the MPS framework doesn't support float64")

    with pytest.raises(ModelError, match=r"^device cpu has no double precision.*to cpu or cuda$"):
        doubles(torch.zeros(2).as_subclass(Single))


def makers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every tensor that is made without a device, parameters of modules apart.

    A parameter follows the default device, as those of torch's own layers do.
    """
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Attribute):
        of, name = tree.func.value, tree.func.attr
        if isinstance(of, ast.Name) and (of.id, name) == ("nn", "Parameter"):
            return
        made = isinstance(of, ast.Name) and of.id == "torch" and name in MAKERS
        if made and all(keyword.arg != "device" for keyword in tree.keywords):
            yield tree.lineno, name
    for child in ast.iter_child_nodes(tree):
        yield from makers(child)


def test_every_tensor_is_made_on_a_device_that_somebody_chose():
    found = [
        f"{path}:{line}: torch.{name} without device="
        for package in (analog_models, ml)
        for path in sorted(Path(package.__path__[0]).rglob("*.py"))
        if not path.as_posix().endswith(tuple(IDS))
        for line, name in makers(ast.parse(path.read_text()))
    ]
    assert found == []
