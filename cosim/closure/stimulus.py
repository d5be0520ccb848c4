"""Random jobs that reach the corners: short and wrapped windows, extreme codes, runs of queries.

A job is a row of sequences. Each has a window length and a taste in codes, so that its scores and
outputs saturate, cancel or vanish now and then, which uniform codes hardly ever do.
"""

from collections.abc import Callable, Sized
from typing import Any

import numpy as np

from analog_models.spec import HardwareSpec, load_preset
from cosim.run.job import Job

__all__ = ["LENGTHS", "closure_spec", "length_class", "random_job"]

LENGTHS = ("1", "2", "part of a sub-tile", "across sub-tiles", "whole window")
SCHEDULE_CHANGES = 0.08  # per token
QUERY_RUNS = 0.15  # tokens that further queries follow
LONGEST_RUN = 4
WAITS = (0, 1, 3, 60)  # cycles; the longest outlasts any schedule's period
FLAG_NOISE = 0.1  # queries with a flush bit, which means nothing there

Taste = Callable[[np.random.Generator, int, tuple[int, int]], np.ndarray]


def closure_spec() -> HardwareSpec:
    """A head of 2 sub-tiles of 4 x 4 cells with all schedules, which reaches all that can happen.

    16 levels of keys and values, one of which has a transfer so near to 0 that a full activation
    pulse on a single slot may count as 0; converters that one slot can saturate.
    """
    return load_preset().replace(
        name="closure",
        geometry__head_dim=4,
        geometry__array_rows=4,
        geometry__subtile=4,
        geometry__subtiles=2,
        levels__kv=16,
        converter__s_sat=16.0,
        converter__a_sat=5.0,
        leakage__decay_per_token=0.01,
    )


def length_class(spec: HardwareSpec, length: int) -> str:
    """Which of `LENGTHS` a window of `length` tokens is in."""
    geometry = spec.geometry
    named = {1: "1", 2: "2", geometry.window: "whole window"}
    inside = "part of a sub-tile" if length < geometry.subtile else "across sub-tiles"
    return named.get(length, inside)


def random_job(
    spec: HardwareSpec, tokens: int, seed: int, waits: tuple[int, int] | None = None
) -> Job:
    """Random everything: codes, lengths, flushes, queries, schedules, back-pressure.

    waits: the longest gap before a token and the longest stall of a result, drawn from `WAITS` if
    not given.

    Consecutive seeds begin in all schedules in turn, and then with a query of the empty window,
    with a flush, and with neither.
    """
    rng = np.random.default_rng(seed)
    start, way = seed % len(spec.schedules), seed // len(spec.schedules) % 3
    sequences, planned = [], 0
    while planned < tokens:
        sequences.append(_sequence(spec, rng))
        planned += len(sequences[-1])
    joined = np.concatenate(sequences)[:tokens]
    joined["flush"][0] = way == 1
    joined["query_only"][0] = way == 0
    change = rng.random(tokens) < SCHEDULE_CHANGES
    change[0] = False
    schedule = rng.integers(0, _values(spec.schedules), tokens, dtype=np.uint8)
    schedule[0] = start
    columns: dict[str, Any] = {name: joined[name] for name in joined.dtype.names or ()}
    latest = np.maximum.accumulate(np.where(change, np.arange(tokens), 0))
    gap, stall = waits or rng.choice(WAITS, 2).tolist()
    return Job(**columns, schedule=schedule[latest], max_gap=gap, max_stall=stall, seed=seed)


def _sequence(spec: HardwareSpec, rng: np.random.Generator) -> np.ndarray:
    """Tokens of one sequence, as rows of a structured array with the names of `Job`."""
    length = _length(spec, rng)
    just, beyond, within = length, length + rng.integers(1, length + 3), rng.integers(length) + 1
    writes = int((just, beyond, within)[rng.integers(3)])
    runs = rng.integers(1, LONGEST_RUN + 1, writes) * (rng.random(writes) < QUERY_RUNS)
    query_only = np.concatenate([[0, *[1] * run] for run in runs]).astype(np.uint8)
    tokens, dim = len(query_only), spec.geometry.head_dim
    codes = [("q", np.uint8, dim), ("k", np.uint8, dim), ("v", np.uint8, dim)]
    flags = [("flush", np.uint8), ("query_only", np.uint8), ("window_length", np.int32)]
    sequence = np.zeros(tokens, dtype=[*codes, *flags])
    levels = {"q": spec.levels.q, "k": spec.levels.kv, "v": spec.levels.kv}
    for name, count in levels.items():
        usual, other = (
            TASTES[i](rng, count, (tokens, dim)) for i in rng.integers(len(TASTES), size=2)
        )
        sequence[name] = np.where(rng.random((tokens, 1)) < 0.8, usual, other)
    sequence["query_only"] = query_only
    sequence["flush"] = query_only & (rng.random(tokens) < FLAG_NOISE)
    sequence["flush"][0] = 1
    sequence["window_length"] = rng.integers(0, _values(range(spec.geometry.window + 1)), tokens)
    sequence["window_length"][0] = length
    return sequence


def _length(spec: HardwareSpec, rng: np.random.Generator) -> int:
    wanted = rng.choice(LENGTHS)
    lengths = range(1, spec.geometry.window + 1)
    fitting = [n for n in lengths if length_class(spec, n) == wanted]
    return int(rng.choice(fitting or lengths))


def _values(of: Sized) -> int:
    """How many values an input has that can choose each of `of`: some mean nothing."""
    return 1 << max(1, (len(of) - 1).bit_length())


def _between(low: float, high: float) -> Taste:
    """Codes in a part of the range, 0 to 1."""

    def draw(rng: np.random.Generator, levels: int, shape: tuple[int, int]) -> np.ndarray:
        top = levels - 1
        return rng.integers(round(low * top), round(high * top) + 1, shape)

    return draw


def _extremes(rng: np.random.Generator, levels: int, shape: tuple[int, int]) -> np.ndarray:
    return rng.choice([0, levels - 1], shape)


def _one_for_all(rng: np.random.Generator, levels: int, shape: tuple[int, int]) -> np.ndarray:
    """Each token has one code in all its dimensions."""
    return np.broadcast_to(rng.integers(0, levels, (shape[0], 1)), shape)


TASTES: tuple[Taste, ...] = (
    _between(0, 1),
    _between(0.8, 1),
    _between(0, 0.2),
    _between(0.45, 0.48),
    _between(0.45, 0.5),
    _between(0.3, 0.45),
    _between(0.4, 0.7),
    _extremes,
    _one_for_all,
)
"""How codes may be drawn."""
