"""The adaptation algorithm: from the linear to the cubic cell without a gradient.

The scalers of the cubic model are moved until mean and standard deviation of each signal match
what the linear model showed on the same batch (Leroux et al. 2025, Methods). As published there is
one pair a, b per head for q, k, v and the output, from a = 1, b = 0 on top of what the linear model
learnt, and the statistics are those of the scaled signals. The variant used here has a pair per
channel, which folds just as well, and compares keys and values as charge of their cells, the
quantity that differs between the two models.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from analog_models.physics import cell_terms
from analog_models.spec import HardwareSpec
from ml.hardware_attention import SIGNALS, Codes, GainCellAttention, attention_layers
from ml.model import LanguageModel, blocks

FIRST_STEP, LAST_STEP, FALLING_STEPS = 1.0, 0.1, 50
MAX_STEPS = 100
TOLERANCE = 1e-4
SMALLEST_STD = 1e-3


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of groups of signals, any shapes, in units of full scale."""

    mean: list[Tensor]
    std: list[Tensor]

    def error(self, other: "Statistics") -> float:
        """Largest difference in a mean or a standard deviation."""
        pairs = zip(self.mean + self.std, other.mean + other.std, strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)


def follow(
    measure: Callable[[], Statistics],
    move: Callable[[int, Tensor, Tensor], None],
    target: Statistics,
    channelwise: bool = True,
) -> list[float]:
    """Move scalers until `measure()` gives `target`; the largest error after each step.

    `move(i, factor, shift)` changes group i by a factor of its scales and a shift of its offsets.
    The step falls from 1 to 0.1 over 50 steps; it ends when every error is below 1e-4, or after
    100 steps. `channelwise` limits a step to a factor of two: one channel has few values.
    """
    errors = []
    for step in range(MAX_STEPS):
        now = measure()
        errors.append(now.error(target))
        if errors[-1] < TOLERANCE:
            break
        alpha = FIRST_STEP + (LAST_STEP - FIRST_STEP) * min(1.0, step / FALLING_STEPS)
        for i, (std, wanted) in enumerate(zip(now.std, target.std, strict=True)):
            moves = std > SMALLEST_STD  # a silent channel cannot be scaled into speaking
            ratio = torch.where(moves, wanted / std, 1.0)
            factor = 1.0 + alpha * (ratio - 1.0)
            if channelwise:
                factor = ratio.clamp(0.5, 2.0) ** alpha
            move(i, factor, alpha * (target.mean[i] - now.mean[i]))
    return errors


def cell_charge(spec: HardwareSpec, signal: Tensor) -> Tensor:
    """Charge of the cells that `signal`, in units of full scale, is written to.

    In units of what the linear cell gives at full scale: what differs between two cells.
    """
    full = spec.levels.kv_max
    constant, terms = cell_terms(spec, (full * signal).clamp(0, full))
    return (constant + torch.stack(terms).sum(0)) / (spec.cell.linear_gain * spec.cell.v_supply_v)


@torch.no_grad()
def measure(model: LanguageModel, ids: Tensor, published: bool = False) -> Statistics:
    """Statistics of a scaled hardware model over texts `ids` [B, T], for each layer [4, H, D].

    q and the output are measured after their scaler, k and v as the charge of their cells; if
    `published`, all after their scaler, [4, H, 1].
    """
    dims = (0, 2, 3) if published else (0, 2)
    means, stds = [], []
    x = model.hidden(ids)
    for block, layer in zip(blocks(model), attention_layers(model), strict=True):
        normed = block.norm_attention(x)
        codes = layer.codes(normed)
        signals = list(_layer_signals(layer, normed, codes, charges=not published))
        shape = (len(SIGNALS), layer.heads, -1)
        means.append(torch.stack([signal.mean(dims) for signal in signals]).view(shape))
        stds.append(torch.stack([signal.std(dims) for signal in signals]).view(shape))
        x = x + layer.output(codes.out)
        x = x + block.feed_forward(block.norm_feed_forward(x))
    return Statistics(means, stds)


def _layer_signals(
    layer: GainCellAttention, x: Tensor, codes: Codes, charges: bool
) -> Iterator[Tensor]:
    """q, k, v and output of one layer with input x and `codes`, [B, H, T, D] in full scales."""
    assert layer.scalers is not None
    full = layer.spec.levels.full_scale
    for name, signal in layer.signals(x).items():
        scaled = signal / full[name]
        yield cell_charge(layer.spec, scaled) if charges and name != "q" else scaled
    yield layer.scalers.apply_to("out", codes.out / full["out"])


@torch.no_grad()
def match(
    model: LanguageModel, target: Statistics, ids: Tensor, published: bool = False
) -> list[float]:
    """Move the scalers of `model` to `target`; the largest error after each step.

    `ids` [B, T]: the texts on which `target` was measured, `published` or not as this is.
    """
    scalers = [s for layer in attention_layers(model) if (s := layer.scalers) is not None]
    # Of the offsets, what a scales: as published, a and b come after the learnt scalers.
    scaled = [own.offset * float(published) for own in scalers]

    def move(i: int, factor: Tensor, shift: Tensor) -> None:
        scalers[i].scale.mul_(factor)
        scalers[i].offset.add_(scaled[i] * (factor - 1) + shift)
        scaled[i].mul_(factor)

    return follow(lambda: measure(model, ids, published), move, target, channelwise=not published)
