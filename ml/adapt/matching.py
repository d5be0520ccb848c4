"""The adaptation algorithm for pretrained models: as published, and two that go further.

published   one scale a and offset b per head and signal (q, k, v, output), reset to a = 1, b = 0
            and moved until mean and standard deviation of the scaled signal are the linear
            model's (Leroux et al. 2025, Methods). What the heads learnt besides counts as weights
charge      one pair per channel; keys and values are compared as charge of their cells, which is
            what differs between the two models
regression  `charge`, then every output projection fitted to the linear model's attention;
            `published-regression` does that behind `published`

None of them needs a gradient.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from analog_models.physics import cell_terms
from analog_models.spec import HardwareSpec
from ml.adapt.following import Statistics, follow
from ml.adapt.initialise import attention_outputs, fit_outputs, heads_in
from ml.attention.backend import SIGNALS
from ml.attention.heads import GainCellHeads
from ml.models.network import Network, at_least_single, hooked

Matching = Literal["published", "published-regression", "charge", "regression"]
MATCHINGS: tuple[str, ...] = get_args(Matching)
# Of a channel's inputs: a cell that saturates may never show the statistics that are wanted.
LARGEST_SCALE, LARGEST_SHIFT = 3.0, 0.5  # factor either way; of full scale


class _Scaler:
    """Scale a and offset b on top of one signal of the heads of one layer.

    Published: a * signal + b, one pair per head. Else per channel, and b is the signal's offset.
    """

    def __init__(self, heads: GainCellHeads, name: str, published: bool) -> None:
        mixes = heads.mixing and name in ("q", "k")
        self.scale = heads.get_parameter(f"{'mix' if mixes else 'scaler'}_{name}")
        self.offset = heads.get_parameter(f"offset_{name}")
        self.own_scale = self.scale.detach().clone()
        self.own_offset = self.offset.detach().clone() if published else None
        b = self.offset.detach().clone()
        one_a_head = b.new_zeros(len(b), 1)
        self.limited = not published and name != "out"
        self.b = self.first_b = one_a_head if published else b
        self.a = torch.ones_like(self.b)

    def move(self, factor: Tensor, shift: Tensor) -> None:
        """Multiply a, add to b."""
        self.a, self.b = self.a * factor, self.b + shift
        if self.limited:
            self.a = self.a.clamp(1 / LARGEST_SCALE, LARGEST_SCALE)
            self.b = self.b.clamp(self.first_b - LARGEST_SHIFT, self.first_b + LARGEST_SHIFT)
        a = self.a if self.scale.dim() == self.a.dim() else self.a[:, None]
        self.scale.copy_(self.own_scale * a)
        own = 0.0 if self.own_offset is None else self.a * self.own_offset
        self.offset.copy_(own + self.b)


def cell_charge(spec: HardwareSpec, signal: Tensor) -> Tensor:
    """Charge of the cells that `signal`, in units of full scale, is written to.

    In units of what the linear cell gives at full scale: what differs between two cells.
    """
    full = spec.levels.kv_max
    constant, terms = cell_terms(spec, (full * signal).clamp(0, full))
    return (constant + torch.stack(terms).sum(0)) / (spec.cell.linear_gain * spec.cell.v_supply_v)


@torch.no_grad()
def measure(student: Network, ids: Tensor, published: bool) -> Statistics:
    """Statistics over texts `ids` [B, T] of q, k, v and output of every layer, in this order.

    [H, 1] per head when published, else [H, D] per channel and cells as charge.
    """
    dims = (0, 2, 3) if published else (0, 2)
    means: list[Tensor] = []
    stds: list[Tensor] = []
    modules = [heads_in(attention) for attention in student.attentions]

    def note(i: int, args: tuple, _kwargs: dict, output: Tensor) -> None:
        heads = modules[i]
        with torch.autocast("cpu", enabled=False):
            given = zip(SIGNALS, map(at_least_single, args), strict=False)
            signals = [heads.analog(name, x) for name, x in given]
            if not published:
                signals[1:] = [cell_charge(heads.spec, signal) for signal in signals[1:]]
            for signal in (*signals, at_least_single(output)):
                mean, std = signal.mean(dims), signal.std(dims)
                means.append(mean[:, None] if published else mean)
                stds.append(std[:, None] if published else std)

    with student.autocast(), hooked(modules, note):
        student.hidden(ids)
    return Statistics(means, stds)


@torch.no_grad()
def match(
    student: Network,
    ids: Tensor,
    matching: Matching,
    to_cubic: Callable[[], None],
    ridge: float,
    fitted: Tensor | None = None,
) -> list[float]:
    """Take `student`, a linear model, to another cell by `to_cubic()`, and match it to before.

    `ids`: texts [B, T]; `fitted`: those of the fit, if others. Returns the largest error after each
    step.
    """
    published, fitted = matching.startswith("published"), ids if fitted is None else fitted
    target, attention = measure(student, ids, published), attention_outputs(student, fitted)
    to_cubic()
    scalers = [
        _Scaler(heads_in(module), name, published)
        for module in student.attentions
        for name in SIGNALS
    ]
    errors = follow(
        lambda: measure(student, ids, published),
        lambda i, factor, shift: scalers[i].move(factor, shift),
        target,
        channelwise=not published,
    )
    if matching.endswith("regression"):
        fit_outputs(student, attention, lambda: student.hidden(fitted), ridge)
    return errors
