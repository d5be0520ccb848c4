"""Ridge regression in closed form: what fits a projection without a gradient."""

import torch
from torch import Tensor


def ridge_regression(x: Tensor, wanted: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weight [n, m] and bias [m] of least squares from x [N, n] to wanted [N, m].

    `ridge`: weight of the squared weights, in units of the mean square of x; the bias is free.
    Where x is zero throughout, so is the weight.
    """
    mean_x, mean_wanted = x.mean(0), wanted.mean(0)
    centred = x - mean_x
    moments = centred.T @ centred
    moments.diagonal().add_(ridge * (float(x.square().sum(0).mean()) or 1.0))
    weight = torch.linalg.solve(moments, centred.T @ (wanted - mean_wanted))
    return weight, mean_wanted - mean_x @ weight
