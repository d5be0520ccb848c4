"""Leakage between two blocks of tokens as a product of factors of query and cell.

From place j of one block of R tokens to place t of a block n later, the age of a cell is n * R + t
- j, and the charge of power p decays by exp(-p lambda age). Over the few tokens of a block the
query's factor exp(-p lambda t) is nearly the same for all powers: polynomials in t of low degree
give it, so that

    charge(t, j) = sum_r places[r, t] * sum_p mix[n, r, p, j] * x^p

with few ranks r. Where that is not exact enough the exponentials themselves take their place.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from analog_models.spec import HardwareSpec

LARGEST_EXPONENT = 40.0  # of a factor within a block, far from the limits of float32


class SeparableLeakage(NamedTuple):
    """Charge of cells in float64, by ranks of falling weight.

    places: [rank, R]; mix: [n = 0 ... sub-tiles, rank, power from 0 on, R]. errors: what leaving
    out all but the first 1, 2, ... ranks does to a leakage factor at most, the last is 0.
    """

    places: Tensor
    mix: Tensor
    errors: list[float]

    def ranks_for(self, tolerance: float) -> int:
        """How many ranks hold every leakage factor to `tolerance`."""
        return next(i for i, error in enumerate(self.errors, 1) if error <= tolerance)


def separable_leakage(spec: HardwareSpec, tolerance: float) -> SeparableLeakage | None:
    """Split the leakage of `spec` to `tolerance`; None if charge does not outlive a sub-tile.

    The tensors are on the CPU, whatever torch's default device: the compiled kernel reads them.
    """
    rows, per_power = spec.geometry.subtile, spec.leakage.convention == "per_power"
    polynomial = (spec.cell_constant, *spec.cell_polynomial[1:])
    coefficients = torch.tensor(polynomial, dtype=torch.float64, device="cpu")
    power = _numbers(len(coefficients))
    rates = spec.decay_per_token * (power if per_power else power**0)
    present = coefficients != 0  # how a power would decay that no cell has costs no rank
    rates = torch.where(present, rates, rates[present][0])
    if float(rates.max()) * rows > LARGEST_EXPONENT:
        return None
    place = _numbers(rows)
    places, shares, errors = _factors(torch.exp(-rates * place[:, None]), tolerance)
    since = rows * _numbers(spec.geometry.subtiles + 1)[:, None] - place
    cell = coefficients[:, None] * torch.exp(-rates[:, None] * since[:, None, :])
    return SeparableLeakage(places, shares[:, :, None] * cell[:, None], errors)


def _numbers(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64, device="cpu")


def _factors(decay: Tensor, tolerance: float) -> tuple[Tensor, Tensor, list[float]]:
    """Decay [R, power] as places [rank, R] times shares [rank, power], and errors by rank."""
    distinct, which = torch.unique(decay, dim=1, return_inverse=True)
    rows, exact = distinct.shape
    centred = _numbers(rows) - (rows - 1) / 2
    basis, _ = torch.linalg.qr((centred / rows)[:, None] ** _numbers(exact))
    shares = basis.T @ decay
    errors = [float((basis[:, :r] @ shares[:r] - decay).abs().max()) for r in range(1, exact)]
    for ranks, error in enumerate(errors, 1):
        if error <= tolerance:
            return basis.T[:ranks], shares[:ranks], [*errors[: ranks - 1], 0.0]
    one_each = torch.eye(exact, dtype=torch.float64, device="cpu")[:, which]
    return distinct.T, one_each, [*[float("inf")] * (exact - 1), 0.0]
