"""What the oracle and the project are given: the same codes, and conventions said on both sides."""

from dataclasses import replace

import numpy as np
import torch

from analog_models.spec import HardwareSpec, load_preset
from ml.attention.fast import fast_attention
from tests.publication.oracle import LINEAR, PER_POWER, WHOLE_TERM, Published, Reals

Codes = tuple[Reals, Reals, Reals]
CASES = ("cubic", "linear", "cubic, whole term", "linear, whole term")


def published(case: str) -> Published:
    """The conventions of a case, for the oracle."""
    p = WHOLE_TERM if "whole term" in case else PER_POWER
    return replace(p, cell=LINEAR) if "linear" in case else p


def specification(case: str) -> HardwareSpec:
    """The specification that says the same, for the project."""
    spec = load_preset("leroux2025")
    if "whole term" in case:
        spec = spec.replace(leakage__convention="whole_term", leakage__decay_per_token=1e-4)
    return spec.linearised() if "linear" in case else spec


def on_grid(p: Published) -> Published:
    """With the constant charge of a cell as we have it: a multiple of 2^-20."""
    return replace(p, cell=(round(p.cell[0] * 2**20) / 2**20, *p.cell[1:]))


def lively_codes(tokens: int, seed: int = 1) -> Codes:
    """Random codes q, k, v [T, 64] that drive both clamps to either side.

    Keys and values of a token lean to one side, so that a seventh of the pulses is full, half of
    them is nothing, and a twelfth of the charges is clamped.
    """
    rng = np.random.default_rng(seed)
    q, k, v = (rng.integers(0, levels, (tokens, 64)) for levels in (16, 8, 8))
    k = np.clip(k + rng.integers(-2, 3, (tokens, 1)), 0, 7)
    v = np.clip(v + rng.integers(-3, 4, (tokens, 1)), 0, 7)
    return q.astype(float), k.astype(float), v.astype(float)


def tensors(codes: Codes) -> list[torch.Tensor]:
    """Codes as the project's functions take them, [1, T, 64] float64."""
    return [torch.from_numpy(x)[None] for x in codes]


def kernel_counts(spec: HardwareSpec, codes: Codes) -> Reals:
    """Output codes [T, 64] by the compiled kernel in double precision, which has no grid."""
    q, k, v = tensors(codes)
    return fast_attention(spec, q, k, v)[0].numpy()
