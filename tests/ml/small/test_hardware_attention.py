"""Attention on the hardware: codes, causality, folding."""

import pytest
import torch

from ml.attention.surrogate import SurrogateOps
from ml.small.hardware_attention import (
    GainCellAttention,
    Scalers,
    attention_layers,
    fold,
    on_hardware,
)
from ml.small.initialise import initialise
from ml.small.model import LanguageModel, join_heads, split_heads
from tests.ml.conftest import TINY


@pytest.fixture
def student(teacher, tiny_spec, ids) -> LanguageModel:
    model = LanguageModel(TINY, on_hardware(tiny_spec, SurrogateOps(), scaled=True))
    initialise(model, teacher, ids[:, :-1])
    return model


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.randn(2, 20, TINY.width, generator=generator)


def test_codes_are_whole_and_in_range(student, x):
    for layer in attention_layers(student):
        codes = layer.codes(x)
        for name, full in (("q", 15), ("k", 7), ("v", 7)):
            code = getattr(codes, name)
            assert torch.equal(code, code.round())
            assert code.min() >= 0 and code.max() <= full
            assert code.unique().numel() > full // 2
        assert torch.equal(codes.out, codes.out.round())
        assert 3 < codes.out.abs().max() <= tiny_out_max(layer)


def tiny_out_max(layer: GainCellAttention) -> int:
    return layer.spec.geometry.subtiles * layer.spec.levels.count_max


def test_no_token_sees_the_future(student, x):
    changed = x.clone()
    changed[:, 12:] += 1.0
    layer = attention_layers(student)[0]
    before, after = layer.codes(x).out, layer.codes(changed).out
    assert torch.equal(before[..., :12, :], after[..., :12, :])
    assert not torch.equal(before[..., 12:, :], after[..., 12:, :])


def test_scalers_stand_between_projections_and_hardware(student, x):
    for layer in attention_layers(student.double()):
        full, projected = layer.spec.levels.full_scale, layer.qkv(x.double()).chunk(3, dim=-1)
        assert layer.scalers is not None
        for name, signal in zip("qkv", projected, strict=True):
            scaled = layer.scalers.apply_to(name, split_heads(signal, layer.heads))
            torch.testing.assert_close(layer.signals(x.double())[name], full[name] * scaled)
        out = layer.codes(x.double()).out
        scaled = layer.scalers.apply_to("out", out / full["out"])
        torch.testing.assert_close(layer.output(out), layer.proj(join_heads(scaled)))


def test_folding_changes_nothing(student, ids, generator):
    """In double precision both give the same codes; the outputs differ by rounding alone."""
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            if "scalers" in name:
                parameter.mul_(1 + 0.1 * torch.rand(parameter.shape, generator=generator))
    plain = fold(student.double())
    torch.testing.assert_close(plain(ids[:, :-1]), student(ids[:, :-1]))
    x = student.hidden(ids[:, :-1])
    for with_scalers, without in zip(
        attention_layers(student), attention_layers(plain), strict=True
    ):
        assert without.scalers is None
        for name in ("q", "k", "v", "out"):
            assert torch.equal(
                getattr(with_scalers.codes(x), name), getattr(without.codes(x), name)
            ), name


def test_folded_model_has_the_tensors_of_the_teacher(student, teacher):
    shapes = {name: t.shape for name, t in fold(student).state_dict().items()}
    assert shapes == {name: t.shape for name, t in teacher.state_dict().items()}


def test_scalers_start_as_the_naive_map(generator):
    scalers = Scalers(heads=2, head_dim=3)
    x = torch.randn(1, 2, 4, 3, generator=generator)
    assert torch.equal(scalers.apply_to("q", x), x)
    assert torch.equal(scalers.apply_to("k", x), x + 0.5)
    assert torch.equal(scalers.apply_to("out", x), x)
