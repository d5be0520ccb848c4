"""Where signals lie in their range: matrices that leave scores as they are, and a threshold.

A dot product of q and k does not change when q is multiplied by a matrix and k by its inverse
transpose. That freedom is used to give every channel the same range, and to lay the one direction
along which keys vary least on the sum of all channels: the middle of the query range is 0.5, not 0,
so each key's sum over channels leaks into its scores.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ml.errors import ModelError

RIDGE = 1e-4  # of the mean variance, keeps nearly constant channels invertible


def hadamard(size: int, device: torch.device | None = None) -> Tensor:
    """Orthogonal matrix [size, size] of entries +-1/sqrt(size), the first column constant."""
    matrix = torch.ones(1, 1, dtype=torch.float64, device=device)
    while len(matrix) < size:
        top = torch.cat((matrix, matrix), dim=1)
        matrix = torch.cat((top, torch.cat((matrix, -matrix), dim=1)))
    if len(matrix) != size:
        raise ModelError(f"head dimension is {size}, must be a power of two")
    return matrix / size**0.5


def balance(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices Mq, Mk [D, D] with Mq @ Mk.T = 1, for q and centred k [N, D].

    q @ Mq and k @ Mk have the same, equal second moments in every channel, and the sum of k @ Mk
    over channels varies least. (Balancing as of two Gramians in control theory, then a Hadamard
    rotation.)
    """
    dim = q.shape[-1]
    eye = torch.eye(dim, dtype=torch.float64, device=q.device)
    moment_q, moment_k = (x.double().T @ x.double() / len(x) for x in (q, k))
    moment_q = moment_q + RIDGE * moment_q.trace() / dim * eye
    moment_k = moment_k + RIDGE * moment_k.trace() / dim * eye
    root = torch.linalg.cholesky(moment_q)
    squares, vectors = torch.linalg.eigh(root.T @ moment_k @ root)  # ascending
    common = squares.clamp_min(0).sqrt()
    to_q = torch.linalg.solve_triangular(root.T, vectors, upper=True) * common.sqrt()
    to_k = root @ vectors / common.sqrt()
    rotation = hadamard(dim, q.device).T
    return to_q @ rotation, to_k @ rotation


def shift_for(
    share_at: Callable[[Tensor], Tensor], share: float, middle: Tensor, bisections: int
) -> Tensor:
    """Shift of each head [heads] at which `share_at(shift)` is `share`, up to 0.5 about `middle`.

    middle: [heads], in full scales. `share_at` never falls as the shift grows. The interval is
    halved `bisections` times.
    """
    low, high = middle - 0.5, middle + 0.5
    for _ in range(bisections):
        middle = (low + high) / 2
        too_many = share_at(middle) > share
        low, high = torch.where(too_many, low, middle), torch.where(too_many, middle, high)
    return (low + high) / 2
