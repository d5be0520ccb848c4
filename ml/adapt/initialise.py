"""First mapping of a pretrained model onto the hardware, from statistics alone.

Layer after layer, queries and keys get equal ranges (`balance`, or one scale per channel without
mixing), keys a threshold that leaves a small share of scores positive, values their
range; then the output projection is fitted to the teacher's attention by ridge regression. One pass
does it all, because each layer is mapped when its first input arrives: the student's own residual
stream, with the errors of the layers before, or the teacher's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from analog_models.physics import cell_terms
from ml.adapt.balance import balance, shift_for
from ml.adapt.objectives import LayerWise
from ml.adapt.regression import ridge_regression
from ml.attention.heads import GainCellHeads
from ml.errors import SettingError
from ml.finite import finite_outputs, fitting
from ml.models.network import Network, hooked, state_of

THRESHOLD_TEXTS = 2
BISECTIONS = 14
OUTPUT_PROJECTIONS = ("o_proj", "c_proj")


@dataclass(frozen=True)
class Mapping:
    """Where statistics put the signals, in units of full scale.

    query_spread and so on: standard deviation of queries, keys and values. positive_share: of
    the causal scores. ridge: of the mean square of a head's output, against overfitting.
    own_stream: whether a layer is mapped on the student's own stream, or on the teacher's, which
    suits a layer-wise training behind.
    """

    query_spread: float = 0.35
    key_spread: float = 0.3
    value_spread: float = 0.225
    positive_share: float = 0.08
    ridge: float = 3e-2
    own_stream: bool = False

    def __post_init__(self) -> None:
        for name in ("query_spread", "key_spread", "value_spread", "positive_share", "ridge"):
            if not 0 < getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}, must be in (0, 1)")


def initialise(student: Network, teacher: Network, ids: Tensor, mapping: Mapping) -> list[float]:
    """Map every layer, with statistics over texts `ids` [B, T]; relative error of each fit.

    Raises ModelError for values that are not finite and for signals that never vary, and names the
    layer.
    """
    targets = attention_outputs(teacher, ids)
    modules = [heads_in(attention) for attention in student.attentions]

    def map_heads(i: int, args: tuple, _kwargs: dict, _output: Any) -> None:
        q, k, v = (x.float() for x in args)
        with torch.autocast("cpu", enabled=False), fitting(student.names[i], modules[i]):
            _map_heads(modules[i], q, k, v, mapping)

    feed = student.hidden if mapping.own_stream else LayerWise(teacher, student).errors
    mapped = hooked(modules, map_heads, before=True)
    with torch.no_grad(), student.autocast(), mapped, finite_outputs(student.model):
        return fit_outputs(student, targets, lambda: feed(ids), mapping.ridge, anew=True)


@torch.no_grad()
def attention_outputs(network: Network, ids: Tensor) -> list[Tensor]:
    """What each attention layer adds to the residual stream for texts `ids` [B, T], [B, T, C].

    Raises ModelError where a value is not finite, and names the layer.
    """
    outputs: list[Tensor] = []

    def note(_i: int, _args: tuple, _kwargs: dict, output: Any) -> None:
        outputs.append(state_of(output).to(network.precision))

    with network.autocast(), hooked(network.attentions, note), finite_outputs(network.model):
        network.hidden(ids)
    return outputs


def heads_in(attention: nn.Module) -> GainCellHeads:
    """The gain-cell heads of an attention module."""
    heads = attention.heads
    assert isinstance(heads, GainCellHeads)
    return heads


@torch.no_grad()
def fit_outputs(
    student: Network,
    targets: list[Tensor],
    feed: Callable[[], Any],
    ridge: float,
    anew: bool = False,
) -> list[float]:
    """Fit each output projection to what its attention should give, `targets` [B, T, C] by layer.

    `feed()` runs every attention module once, in their order: of the student's own stream they then
    see what layers give that are fitted already. The ridge pulls towards the projection as it is,
    or `anew` towards zero. Returns the relative error of each fit.
    """
    errors: list[float] = []

    def refit(i: int, args: tuple, _kwargs: dict, _output: Any) -> Tensor:
        projection = output_projection(student.attentions[i])
        own, own_bias = (projection.get_parameter(name) for name in ("weight", "bias"))
        own = own if isinstance(projection, Conv1D) else own.T
        if anew:
            own.zero_()
            own_bias.zero_()
        x, wanted = args[0].flatten(0, 1).double(), targets[i].flatten(0, 1).double()
        weight, bias = ridge_regression(x, wanted - x @ own.double() - own_bias, ridge)
        own += weight
        own_bias += bias
        got = x @ own.double() + own_bias
        errors.append(float((got - wanted).square().mean() / wanted.var()))
        return got.view_as(targets[i]).float()

    projections = [output_projection(attention) for attention in student.attentions]
    with student.autocast(), hooked(projections, refit):
        feed()
    return errors


def output_projection(attention: nn.Module) -> nn.Module:
    """The linear layer behind the heads of an attention module."""
    return next(m for name, m in attention.named_children() if name in OUTPUT_PROJECTIONS)


def _map_heads(heads: GainCellHeads, q: Tensor, k: Tensor, v: Tensor, mapping: Mapping) -> None:
    """Set all of `heads` for queries [B, Hq, T, D], keys and values [B, Hkv, T, D]."""
    group = heads.query_heads // heads.kv_heads
    queries, keys, values = (x.transpose(0, 1).flatten(1, 2) for x in (q, k, v))
    zero = heads.spec.cell.v_zero_v / heads.spec.cell.v_supply_v  # where a cell holds 0
    for j in range(heads.kv_heads):
        own = slice(j * group, (j + 1) * group)
        mean = keys[j].mean(0)
        to_q, to_k = _equal_ranges(queries[own], keys[j] - mean, heads.mixing)
        scale_k = mapping.key_spread / _rms((keys[j] - mean) @ to_k)
        _set_map(heads, "k", j, to_k * scale_k, zero - mean @ to_k * scale_k)
        for i in range(own.start, own.stop):
            scale_q = mapping.query_spread / _rms(queries[i] @ to_q)
            _set_map(heads, "q", i, to_q * scale_q, torch.full_like(mean, 0.5))
    mean, scale = values.mean(1), mapping.value_spread / values.std(1)
    heads.get_parameter("scaler_v").copy_(scale)
    heads.get_parameter("offset_v").copy_(zero - scale * mean)
    heads.get_parameter("scaler_out").fill_(1.0)
    heads.get_parameter("offset_out").zero_()
    shift = threshold_shift(heads, q[:THRESHOLD_TEXTS], k[:THRESHOLD_TEXTS], mapping.positive_share)
    heads.get_parameter("offset_k").add_(shift[:, None])


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()


def _set_map(heads: GainCellHeads, name: str, head: int, matrix: Tensor, offset: Tensor) -> None:
    """Map of q or k of one head: a matrix, or its diagonal where there is no mixing."""
    if heads.mixing:
        heads.get_parameter(f"mix_{name}")[head] = matrix
    else:
        heads.get_parameter(f"scaler_{name}")[head] = matrix.diagonal()
    heads.get_parameter(f"offset_{name}")[head] = offset


def _equal_ranges(q: Tensor, k: Tensor, mixing: bool) -> tuple[Tensor, Tensor]:
    """Matrices Mq, Mk [D, D], Mq @ Mk.T = 1, that give q [g, N, D] and k [N, D] equal ranges.

    Every query head counts the same.
    """
    q = (q / q.square().mean((1, 2), keepdim=True).sqrt()).flatten(0, 1)
    if mixing:
        to_q, to_k = balance(q, k)
        return to_q.float(), to_k.float()
    ratio = (k.square().mean(0) / q.square().mean(0)).clamp(1e-4, 1e4) ** 0.25
    return ratio.diag(), (1.0 / ratio).diag()


def threshold_shift(heads: GainCellHeads, q: Tensor, k: Tensor, share: float) -> Tensor:
    """Offset of keys per head [Hkv] at which `share` of the causal scores is positive.

    q: [B, Hq, T, D], k: [B, Hkv, T, D]. Leakage, which moves scores little, is left out.
    """
    full, group = heads.spec.levels.full_scale["k"], heads.query_heads // heads.kv_heads
    codes = heads.encode("q", q).unflatten(1, (heads.kv_heads, group))
    analog = heads.analog("k", k)
    causal = q.new_ones(q.shape[-2], q.shape[-2], dtype=torch.bool).tril()

    def positive(shift: Tensor) -> Tensor:
        keys = (full * (analog + shift[:, None, None])).round().clamp(0, full)
        constant, terms = cell_terms(heads.spec, keys)
        cells = (constant + torch.stack(terms).sum(0))[:, :, None]
        return ((codes @ cells.mT) > 0)[..., causal].float().mean((0, 2, 3))

    return shift_for(positive, share, analog.new_zeros(heads.kv_heads), BISECTIONS)
