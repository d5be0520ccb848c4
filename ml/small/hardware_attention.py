"""Attention on gain-cell arrays: quantised codes in, counted pulses out.

The projections give q, k and v as codes before rounding, and take the output codes of the head.
While a model adapts, scalers stand between: code = full scale * (scale * x + offset), and
output = scale * (count / full count) + offset, one pair per channel. Afterwards they fold into the
projections, so that the shipped model is two plain layers around the hardware.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from analog_models.physics import EXACT, Ops
from analog_models.spec import HardwareSpec
from ml.attention.backend import SIGNALS, Codes
from ml.attention.exact import exact_attention
from ml.attention.fast import fast_attention
from ml.attention.precision import whole_numbers
from ml.small.model import LanguageModel, ModelConfig, blocks, join_heads, split_heads


def attend(spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops) -> Tensor:
    """Output codes [B, H, T, D]: of the hardware as it is with EXACT, else for training."""
    attention = exact_attention if ops is EXACT else fast_attention
    return attention(spec, q, k, v, ops)


class Scalers(nn.Module):
    """Scale and offset of q, k, v and the output: [4, H, D], in units of full scale.

    They start as the naive map: q as it is, k and v around the middle of their range.
    """

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4, heads, head_dim))
        middle = [0.0, 0.5, 0.5, 0.0]
        self.offset = nn.Parameter(torch.tensor(middle)[:, None, None].repeat(1, heads, head_dim))

    def apply_to(self, signal: str, x: Tensor) -> Tensor:
        """[B, H, T, D] -> scale * x + offset."""
        i = SIGNALS.index(signal)
        return self.scale[i, :, None] * x + self.offset[i, :, None]


class GainCellAttention(nn.Module):
    """One layer of attention heads on the hardware of `spec`.

    `ops` is EXACT for the hardware as it is, SurrogateOps for training; without `scaled` the
    projections alone give the codes. `attend` may be replaced by another function like it.
    """

    def __init__(
        self, config: ModelConfig, spec: HardwareSpec, ops: Ops = EXACT, scaled: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.spec, self.ops = config.heads, spec, ops
        self.attend: Callable[..., Tensor] = attend
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.scalers = Scalers(config.heads, config.head_dim) if scaled else None

    def projection_in(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of qkv, the scalers folded in."""
        qkv = self.qkv
        if self.scalers is None:
            return qkv.weight, qkv.bias
        scale, offset = self.scalers.scale, self.scalers.offset
        full = self.spec.levels.full_scale
        tops = scale.new_tensor([float(full[name]) for name in SIGNALS[:3]])[:, None, None]
        code_scale, code_offset = (tops * scale[:3]).flatten(), (tops * offset[:3]).flatten()
        return code_scale[:, None] * qkv.weight, code_scale * qkv.bias + code_offset

    def projection_out(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of proj, the scalers folded in."""
        proj = self.proj
        if self.scalers is None:
            return proj.weight, proj.bias
        scale, offset = self.scalers.scale, self.scalers.offset
        full = scale.new_tensor(float(self.spec.levels.full_scale["out"]))
        return (
            proj.weight * (scale[3].flatten() / full),
            proj.bias + proj.weight @ offset[3].flatten(),
        )

    def signals(self, x: Tensor) -> dict[str, Tensor]:
        """q, k and v before rounding, in codes: [B, T, C] -> three of [B, H, T, D]."""
        weight, bias = self.projection_in()
        parts = linear(x, weight, bias).to(bias.dtype).chunk(3, dim=-1)
        return {n: split_heads(part, self.heads) for n, part in zip(SIGNALS, parts, strict=False)}

    def codes(self, x: Tensor) -> Codes:
        """Codes in and out of the hardware for [B, T, C], texts that start with it flushed."""
        full = self.spec.levels.full_scale
        q, k, v = (
            self.ops.clip(self.ops.quantise(signal), 0, full[name])
            for name, signal in self.signals(x).items()
        )
        with whole_numbers(x):
            return Codes(q, k, v, self.attend(self.spec, q, k, v, self.ops))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        return self.output(self.codes(x).out)

    def output(self, out: Tensor) -> Tensor:
        """Output codes [B, H, T, D] through scalers and projection -> [B, T, C]."""
        return linear(join_heads(out), *self.projection_out())

    @torch.no_grad()
    def folded(self, config: ModelConfig) -> "GainCellAttention":
        """The same attention without scalers: they move into the weights of the projections."""
        plain = GainCellAttention(config, self.spec, self.ops).to(self.qkv.weight.dtype)
        names = ("qkv.weight", "qkv.bias", "proj.weight", "proj.bias")
        folded = (*self.projection_in(), *self.projection_out())
        plain.load_state_dict(dict(zip(names, folded, strict=True)))
        return plain


def attention_layers(model: LanguageModel) -> list[GainCellAttention]:
    """The hardware attention of every layer."""
    return [b.attention for b in blocks(model) if isinstance(b.attention, GainCellAttention)]


def on_hardware(
    spec: HardwareSpec, ops: Ops = EXACT, scaled: bool = False
) -> Callable[[ModelConfig], GainCellAttention]:
    """What LanguageModel takes as `attention` to run on the hardware of `spec`."""
    return lambda config: GainCellAttention(config, spec, ops, scaled)


def fold(model: LanguageModel) -> LanguageModel:
    """A copy of an adapted model whose scalers are folded into its projections."""
    layers = attention_layers(model)
    plain = LanguageModel(model.config, on_hardware(layers[0].spec, layers[0].ops))
    state = {n: t for n, t in model.state_dict().items() if "scalers" not in n}
    plain = plain.to(layers[0].qkv.weight.dtype)
    plain.load_state_dict(state)
    for block, layer in zip(blocks(plain), layers, strict=True):
        block.attention = layer.folded(model.config)
    return plain
