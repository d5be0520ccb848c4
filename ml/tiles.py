"""Which queries see which keys: sequences of any length in tiles of one sub-tile of keys.

Slot t mod M holds token t, so while a sub-tile is written anew it holds keys of two laps: the new
ones up to the query's own token, and behind them those of the lap before. Counting is per sub-tile,
so the charge of both laps adds before it is counted.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from analog_models.errors import CodeError
from analog_models.spec import HardwareSpec


class Tile(NamedTuple):
    """Queries [low, high) and the sub-tile of keys that begins with token `first`.

    written: the sub-tile was being written while the first of these queries came: the query of
    its row i sees the keys up to i. previous: this is the lap before, and it sees those behind i.
    """

    first: int
    low: int
    high: int
    written: bool = False
    previous: bool = False


def subtiles(spec: HardwareSpec, low: int, high: int) -> Iterator[list[Tile]]:
    """For each sub-tile of slots that the queries [low, high) see, the tiles whose charge it adds.

    The first of the tiles has all queries of the others. `low` is the start of a sub-tile.
    """
    rows, window = spec.geometry.subtile, spec.geometry.window
    for first in range(max(0, low - window + rows), high, rows):
        if first < low:
            yield [Tile(first, low, min(high, first + window))]
            continue
        found = [Tile(first, first, min(high, first + window), written=True)]
        if first >= window:
            found.append(Tile(first - window, first, min(high, first + rows), previous=True))
        yield found


def check_shapes(spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raise `CodeError` unless q is [..., Hq, T, D], k and v [..., Hkv, T, D], Hq = g * Hkv."""
    dim = spec.geometry.head_dim
    fits = (
        q.dim() >= 3
        and k.shape == v.shape
        and q.shape[:-3] == k.shape[:-3]
        and q.shape[-2:] == k.shape[-2:]
        and q.shape[-3] % k.shape[-3] == 0
        and q.shape[-2] >= 1
        and q.shape[-1] == dim
    )
    if not fits:
        shapes = [tuple(x.shape) for x in (q, k, v)]
        raise CodeError(
            f"q, k, v have shapes {shapes}: need [..., Hq, T, {dim}] and twice "
            f"[..., Hkv, T, {dim}] with T at least 1 and Hq a multiple of Hkv"
        )
