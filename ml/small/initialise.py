"""First mapping of a softmax model onto the hardware, from statistics alone.

A dot product of q and k does not change when q is multiplied by a matrix and k by its inverse
transpose. That freedom is used to give every channel the same range, and to lay the one direction
along which keys vary least on the sum of all channels: the middle of the query range is 0.5, not 0,
so each key's sum over channels leaks into its scores.
"""

import torch
from torch import Tensor

from analog_models.physics import cell_terms, score_charge
from ml.adapt.balance import balance, shift_for
from ml.finite import fitting
from ml.small.hardware_attention import GainCellAttention, attention_layers
from ml.small.model import LanguageModel, SoftmaxAttention, blocks, split_heads

SPREAD = 0.25  # standard deviation of a signal, in units of its full scale
POSITIVE_SHARE = 0.15  # of the causal scores; the others fall below the HardSigmoid
BISECTIONS = 20


@torch.no_grad()
def initialise(student: LanguageModel, teacher: LanguageModel, ids: Tensor) -> None:
    """Map every layer of `teacher` onto `student`, with statistics over texts `ids` [B, T].

    `student` is scaled hardware; everything but its attention is copied. Raises ModelError for a
    layer whose signals never vary.
    """
    own = {n: t for n, t in teacher.state_dict().items() if ".attention." not in n}
    student.load_state_dict(own, strict=False)
    x = teacher.hidden(ids)
    layers = zip(blocks(teacher), attention_layers(student), strict=True)
    for i, (block, layer) in enumerate(layers):
        attention = block.attention
        assert isinstance(attention, SoftmaxAttention)
        with fitting(f"blocks.{i}.attention", layer):
            _initialise_layer(layer, attention, block.norm_attention(x))
        x = block(x)


def _initialise_layer(layer: GainCellAttention, teacher: SoftmaxAttention, x: Tensor) -> None:
    """Weights and scalers of one layer; x: normalised input of the layer [B, T, C]."""
    assert layer.scalers is not None
    heads = teacher.heads
    weight = teacher.qkv.weight.unflatten(0, (3, heads, -1)).clone()  # [3, H, D, C]
    bias = teacher.qkv.bias.unflatten(0, (3, heads, -1)).clone()  # [3, H, D]
    proj = teacher.proj.weight.unflatten(1, (heads, -1)).clone()  # [C, H, D]
    raw = [
        split_heads(part, heads).transpose(0, 1).flatten(1, 2)
        for part in teacher.qkv(x).chunk(3, dim=-1)
    ]  # three of [H, B * T, D]
    for head in range(heads):
        q, k, v = (part[head] for part in raw)
        bias[1, head] -= k.mean(0)
        to_q, to_k = (m.float() for m in balance(q, k - k.mean(0)))
        for part, matrix, values in ((0, to_q, q @ to_q), (1, to_k, (k - k.mean(0)) @ to_k)):
            unit = matrix / values.square().mean().sqrt()
            weight[part, head] = unit.T @ weight[part, head]
            bias[part, head] = unit.T @ bias[part, head]
        std = v.std(0)
        weight[2, head] /= std[:, None]
        bias[2, head] = (bias[2, head] - v.mean(0)) / std
        proj[:, head] *= std
    layer.qkv.weight.copy_(weight.flatten(0, 2))
    layer.qkv.bias.copy_(bias.flatten())
    layer.proj.weight.copy_(proj.flatten(1))
    layer.proj.bias.copy_(teacher.proj.bias)
    cell = layer.spec.cell
    layer.scalers.scale[:3] = SPREAD
    layer.scalers.offset[0] = 0.5
    layer.scalers.offset[1:3] = cell.v_zero_v / cell.v_supply_v
    layer.scalers.offset[1] += threshold_shift(layer, x)[:, None]
    _fit_output(layer, teacher, x)


def positive_scores(layer: GainCellAttention, x: Tensor, shift: Tensor) -> Tensor:
    """Share of positive causal scores per head [H], keys moved by `shift` [H] of full scale."""
    full, signals = layer.spec.levels.full_scale, layer.signals(x)
    q = signals["q"].clamp(0, full["q"]).round()
    k = (signals["k"] + full["k"] * shift[:, None, None]).clamp(0, full["k"]).round()
    constant, terms = cell_terms(layer.spec, k)
    score = score_charge(q, constant, terms, q.new_ones(len(terms) + 1))
    causal = score.new_ones(score.shape[-2:], dtype=torch.bool).tril()
    return (score > 0)[..., causal].float().mean((0, 2))


def threshold_shift(layer: GainCellAttention, x: Tensor) -> Tensor:
    """Offset of the keys per head [H] at which POSITIVE_SHARE of the causal scores is positive."""
    none = x.new_zeros(layer.heads)
    return shift_for(
        lambda shift: positive_scores(layer, x, shift), POSITIVE_SHARE, none, BISECTIONS
    )


def _fit_output(layer: GainCellAttention, teacher: SoftmaxAttention, x: Tensor) -> None:
    """Scale and offset of the output, by least squares against the teacher's heads."""
    assert layer.scalers is not None
    q, k, v = (split_heads(part, teacher.heads) for part in teacher.qkv(x).chunk(3, dim=-1))
    target = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    target = target / v.std((0, 2))[:, None]  # in the units of the normalised values
    got = layer.codes(x).out / layer.spec.levels.full_scale["out"]  # [B, H, T, D]
    mean_got, mean_target = got.mean((0, 2)), target.mean((0, 2))
    spread = got - mean_got[:, None]
    variance = spread.square().mean((0, 2)).clamp_min(1e-6)
    scale = (spread * target).mean((0, 2)) / variance
    layer.scalers.scale[3] = scale
    layer.scalers.offset[3] = mean_target - scale * mean_got
