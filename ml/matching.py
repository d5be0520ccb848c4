"""The adaptation algorithm: from the linear to the cubic cell without a gradient.

The scalers of the cubic model are moved until mean and standard deviation of each signal match
what the linear model showed on the same batch (Leroux et al. 2025, Methods). The published
algorithm has one pair per head; here each channel has its own, which folds just as well.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from analog_models.physics import cell_terms
from ml.hardware_attention import SIGNALS, Codes, GainCellAttention, attention_layers
from ml.model import LanguageModel, blocks

FIRST_STEP, LAST_STEP, FALLING_STEPS = 1.0, 0.1, 50
MAX_STEPS = 100
TOLERANCE = 1e-4
SMALLEST_STD = 1e-3


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of the signals of each layer: lists of [4, H, D].

    q and the output are measured after their scaler; k and v as the charge of the cell they are
    written to, the quantity that differs between two cells. All in units of full scale.
    """

    mean: list[Tensor]
    std: list[Tensor]


@torch.no_grad()
def measure(model: LanguageModel, ids: Tensor) -> Statistics:
    """Statistics of a scaled hardware model over texts `ids` [B, T]."""
    means, stds = [], []
    x = model.hidden(ids)
    for block, layer in zip(blocks(model), attention_layers(model), strict=True):
        normed = block.norm_attention(x)
        codes = layer.codes(normed)
        signals = _layer_signals(layer, normed, codes)
        means.append(torch.stack([signals[name].mean((0, 2)) for name in SIGNALS]))
        stds.append(torch.stack([signals[name].std((0, 2)) for name in SIGNALS]))
        x = x + layer.output(codes.out)
        x = x + block.feed_forward(block.norm_feed_forward(x))
    return Statistics(means, stds)


def _layer_signals(layer: GainCellAttention, x: Tensor, codes: Codes) -> dict[str, Tensor]:
    """The four matched signals of one layer with input x and `codes`, [B, H, T, D] each."""
    assert layer.scalers is not None
    full, spec = layer.full_scale(), layer.spec
    signals = layer.signals(x)
    charge_of_full_scale = spec.cell.linear_gain * spec.cell.v_supply_v
    charges = {}
    for name in ("k", "v"):
        constant, terms = cell_terms(spec, signals[name].clamp(0, full[name]))
        charges[name] = (constant + sum(terms)) / charge_of_full_scale
    out = layer.scalers.apply_to("out", codes.out / full["out"])
    return {"q": signals["q"] / full["q"], **charges, "out": out}


@torch.no_grad()
def match(model: LanguageModel, target: Statistics, ids: Tensor) -> list[float]:
    """Move the scalers of `model` to `target`; the largest error after each step.

    The step falls from 1 to 0.1 over 50 steps; it ends when every error is below 1e-4, or after
    100 steps. `ids` [B, T]: the texts on which `target` was measured.
    """
    errors = []
    for step in range(MAX_STEPS):
        now = measure(model, ids)
        error = max(
            float((a - b).abs().max())
            for a, b in zip(now.mean + now.std, target.mean + target.std, strict=True)
        )
        errors.append(error)
        if error < TOLERANCE:
            break
        alpha = FIRST_STEP + (LAST_STEP - FIRST_STEP) * min(1.0, step / FALLING_STEPS)
        for i, layer in enumerate(attention_layers(model)):
            assert layer.scalers is not None
            moves = now.std[i] > SMALLEST_STD  # a silent channel cannot be scaled into speaking
            ratio = torch.where(moves, target.std[i] / now.std[i], 1.0)
            layer.scalers.scale.mul_(ratio.clamp(0.5, 2.0) ** alpha)
            layer.scalers.offset.add_(alpha * (target.mean[i] - now.mean[i]))
    return errors
