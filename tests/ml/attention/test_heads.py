import pytest
import torch

from analog_models.attend import causal_attention
from ml.attention.heads import GainCellHeads


@pytest.fixture
def heads(hf_spec, generator) -> GainCellHeads:
    module = GainCellHeads(hf_spec, 4, 2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return module


@pytest.fixture
def signals(generator) -> list[torch.Tensor]:
    return [torch.randn(2, heads, 14, 16, generator=generator) for heads in (4, 2, 2)]


def test_codes_are_rounded_row_vectors_times_the_mix(heads, signals, hf_spec):
    q, k, v = heads.codes(*signals)
    for name, codes, x, full in (("q", q, signals[0], 15), ("k", k, signals[1], 7)):
        row = x[1, 1, 5] @ getattr(heads, f"mix_{name}")[1] + getattr(heads, f"offset_{name}")[1]
        assert torch.equal(codes[1, 1, 5], (full * row + 0.5).floor().clamp(0, full))
    row = signals[2][0, 1, 3] * heads.scaler_v[1] + heads.offset_v[1]
    assert torch.equal(v[0, 1, 3], (7 * row + 0.5).floor().clamp(0, 7))


def test_each_group_of_queries_sees_its_own_keys(heads, signals, hf_spec):
    with torch.no_grad():
        q, k, v = heads.codes(*signals)
        out = heads.counts(q, k, v)
    for i in range(4):
        alone = causal_attention(
            hf_spec, *(x.double() for x in (q[:, i], k[:, i // 2], v[:, i // 2]))
        )
        assert torch.equal(out[:, i].double(), alone)
    assert out.abs().max() > 5


def test_the_output_is_scaled_per_head_and_channel(heads, signals, hf_spec):
    with torch.no_grad():
        out = heads.counts(*heads.codes(*signals)) / hf_spec.levels.count_max
        expected = out * heads.scaler_out[:, None] + heads.offset_out[:, None]
        assert torch.equal(heads(*signals), expected)


def test_training_has_the_values_of_evaluation_and_gradients_everywhere(heads, signals):
    with torch.no_grad():
        exact = heads(*signals)
    out = heads(*signals)
    assert (out != exact).float().mean() < 0.01  # single precision may round a count the other way
    out.square().sum().backward()
    for name, parameter in heads.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_without_mixing_a_channel_has_a_scale(hf_spec, signals):
    heads = GainCellHeads(hf_spec, 4, 2, mixing=False)
    assert {name for name, _ in heads.named_parameters()} == {
        f"{kind}_{signal}" for kind in ("scaler", "offset") for signal in ("q", "k", "v", "out")
    }
    q, k, v = heads.codes(*signals)  # the naive map
    assert torch.equal(q, (15 * signals[0] + 0.5).floor().clamp(0, 15))
    assert torch.equal(k, (7 * (signals[1] + 0.5) + 0.5).floor().clamp(0, 7))
    assert torch.equal(v, (7 * (signals[2] + 0.5) + 0.5).floor().clamp(0, 7))


def test_mixing_starts_as_the_naive_map(hf_spec, signals):
    mixed, plain = (GainCellHeads(hf_spec, 4, 2, mixing=m) for m in (True, False))
    for a, b in zip(mixed.codes(*signals), plain.codes(*signals), strict=True):
        assert torch.equal(a, b)


def test_autocast_changes_no_code(heads, signals):
    with torch.no_grad():
        expected = heads.codes(*signals)
        with torch.autocast("cpu", torch.bfloat16):
            got = heads.codes(*signals)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@torch.no_grad()
def test_no_token_sees_the_future(heads, signals):
    changed = [torch.cat((x[..., :9, :], x[..., 9:, :] + 1.0), dim=-2) for x in signals]
    before, after = (heads.counts(*heads.codes(*x)) for x in (signals, changed))
    assert torch.equal(before[..., :9, :], after[..., :9, :])
    assert not torch.equal(before[..., 9:, :], after[..., 9:, :])


def test_codes_are_whole_and_use_their_range(heads, signals, hf_spec):
    for name, codes in zip("qkv", heads.codes(*signals), strict=True):
        full = hf_spec.levels.full_scale[name]
        assert torch.equal(codes, codes.round())
        assert codes.min() >= 0 and codes.max() <= full and codes.unique().numel() > full // 2
