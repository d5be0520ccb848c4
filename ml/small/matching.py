"""The adaptation algorithm: from the linear to the cubic cell without a gradient.

`match` is the published one (Leroux et al. 2025, Methods): one scale a and offset b per head for q,
k, v and the output, from a = 1, b = 0 on top of what the linear model learnt, are moved until mean
and standard deviation of each scaled signal are those that the linear model showed on the same
texts. `refit` goes further: each output projection is then fitted to the linear model's attention.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ml.adapt.regression import ridge_regression
from ml.small.hardware_attention import SIGNALS, attention_layers
from ml.small.model import LanguageModel, blocks, join_heads

RIDGE = 0.1  # of the mean square of a count, towards the projection as it is
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


@torch.no_grad()
def measure(model: LanguageModel, ids: Tensor) -> Statistics:
    """Statistics of a scaled hardware model over texts `ids` [B, T], for each layer [4, H, 1].

    Every signal is measured behind its scaler.
    """
    dims = (0, 2, 3)
    means, stds = [], []
    x = model.hidden(ids)
    for block, layer in zip(blocks(model), attention_layers(model), strict=True):
        assert layer.scalers is not None
        normed, full = block.norm_attention(x), layer.spec.levels.full_scale
        codes = layer.codes(normed)
        signals = [signal / full[name] for name, signal in layer.signals(normed).items()]
        signals.append(layer.scalers.apply_to("out", codes.out / full["out"]))
        shape = (len(SIGNALS), layer.heads, 1)
        means.append(torch.stack([signal.mean(dims) for signal in signals]).view(shape))
        stds.append(torch.stack([signal.std(dims) for signal in signals]).view(shape))
        x = x + layer.output(codes.out)
        x = x + block.feed_forward(block.norm_feed_forward(x))
    return Statistics(means, stds)


@torch.no_grad()
def match(model: LanguageModel, target: Statistics, ids: Tensor) -> list[float]:
    """Move the scalers of `model` to `target`; the largest error after each step.

    `ids` [B, T]: the texts on which `target` was measured.
    """
    scalers = [s for layer in attention_layers(model) if (s := layer.scalers) is not None]
    # a and b come after the learnt scalers, so a scales their offsets, too, and b none.
    scaled = [own.offset.clone() for own in scalers]

    def move(i: int, factor: Tensor, shift: Tensor) -> None:
        scalers[i].scale.mul_(factor)
        scalers[i].offset.add_(scaled[i] * (factor - 1) + shift)
        scaled[i].mul_(factor)

    return follow(lambda: measure(model, ids), move, target, channelwise=False)


@torch.no_grad()
def refit(model: LanguageModel, reference: LanguageModel, ids: Tensor) -> None:
    """Fit the output projections of `model` to what the attention of `reference` gives.

    Layer by layer on texts `ids` [B, T], all layers on the stream of `reference`.
    """
    x = reference.hidden(ids)
    for block, layer in zip(blocks(reference), attention_layers(model), strict=True):
        assert layer.scalers is not None
        normed = block.norm_attention(x)
        target = block.attention(normed)
        codes = layer.codes(normed).out
        left = (target - layer.output(codes)).flatten(0, 1)
        counts = join_heads(codes).flatten(0, 1)
        weight, bias = ridge_regression(counts.double(), left.double(), RIDGE)
        # The scalers stand between counts and projection.
        full, scaler = layer.spec.levels.full_scale["out"], layer.scalers
        change = (full * weight / scaler.scale[3].flatten()[:, None]).T.float()
        layer.proj.weight.add_(change)
        layer.proj.bias.add_(bias.float() - change @ scaler.offset[3].flatten())
        x = x + target
        x = x + block.feed_forward(block.norm_feed_forward(x))
