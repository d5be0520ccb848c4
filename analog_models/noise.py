"""Noise of events (writes, integrations, pulses), from random generators that come in as objects.

A head has four kinds of events, and each kind has a stream of random numbers of its own, so that
the order in which kinds alternate (schedules differ in it) does not change a number.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from array_api_compat import array_namespace, device
from numpy.random import Generator, Philox

from analog_models.spec import HardwareSpec

__all__ = [
    "KINDS",
    "HeadNoise",
    "RandomGenerator",
    "event_generator",
    "normal",
    "row_sigma",
    "score_sigma",
    "with_noise",
]

Array = Any  # a numpy.ndarray or a torch.Tensor
RandomGenerator = Any  # a numpy.random.Generator or a torch.Generator
KINDS = ("write_k", "write_v", "read_k", "read_v")


def normal(
    rng: RandomGenerator | Sequence[RandomGenerator], shape: tuple[int, ...], like: Array
) -> Array:
    """Standard normal deviates of that shape, in library, type and device of `like`.

    rng: where they come from; or one generator for each entry of the first axis. A torch generator
    has to be on the device of `like`; one of numpy gives the same numbers in either library.
    """
    xp = array_namespace(like)
    if isinstance(rng, Sequence):
        return xp.stack([normal(each, shape[1:], like) for each in rng])
    if isinstance(rng, Generator):
        return xp.asarray(rng.standard_normal(shape), dtype=like.dtype, device=device(like))
    return xp.randn(shape, generator=rng, dtype=like.dtype, device=device(like))


def with_noise(x: Array, sigma: float, rng: Any) -> Array:
    """`x` with normal noise of that size on every entry; as it is if sigma is 0 or rng None."""
    if not sigma or rng is None:
        return x
    return x + sigma * normal(rng, tuple(x.shape), x)


def score_sigma(spec: HardwareSpec) -> float:
    """Noise of a score as its converter sees it, in query codes times charge.

    The jitter of the converter's comparator counts as the charge that moves its edge as much.
    """
    noise, converter = spec.imperfections, spec.converter
    jitter = noise.phi_jitter_ps / converter.t_max_ps * converter.s_sat
    return spec.levels.q_max * math.hypot(noise.read_noise_k * noise.thermal, jitter)


def row_sigma(spec: HardwareSpec) -> float:
    """The same of the charge of a V column, in ps times charge."""
    noise, converter = spec.imperfections, spec.converter
    read = noise.read_noise_v * noise.thermal * converter.t_max_ps
    return math.hypot(read, noise.out_jitter_ps * converter.a_sat)


class HeadNoise(NamedTuple):
    """The generator of each event to come, in the order of events, for each kind."""

    write_k: Iterator[RandomGenerator]
    write_v: Iterator[RandomGenerator]
    read_k: Iterator[RandomGenerator]
    read_v: Iterator[RandomGenerator]

    @classmethod
    def streams(cls, rng: RandomGenerator) -> "HeadNoise":
        """All events of a kind one after the other from one stream, split off from `rng`.

        A torch generator cannot be split: the numbers then depend on the order of all events.
        """
        splits = rng.spawn(len(KINDS)) if isinstance(rng, Generator) else [rng] * len(KINDS)
        return cls(*map(repeat, splits))

    @classmethod
    def numbered(cls, seed: int, writes: Iterable[int], reads: Iterable[int]) -> "HeadNoise":
        """Every event from the generator of its number: the same whatever happened before it.

        writes, reads: the number of each write and of each query, in their order.
        """
        numbers = {"write": list(writes), "read": list(reads)}

        def of(kind: str) -> Iterator[RandomGenerator]:
            return (event_generator(seed, n, kind) for n in numbers[kind.partition("_")[0]])

        return cls(*map(of, KINDS))

    @classmethod
    def joined(cls, parts: Iterable["HeadNoise"]) -> "HeadNoise":
        """The events of one part after the other; a list may get a part until it is needed."""

        def of(kind: str) -> Iterator[RandomGenerator]:
            return (rng for part in parts for rng in getattr(part, kind))

        return cls(*map(of, KINDS))


def event_generator(seed: int, number: int, kind: str) -> Generator:
    """The generator of event `number` of a kind: a counter-based one, keyed by seed and number."""
    return Generator(Philox(key=[seed, number], counter=[0, 0, 0, KINDS.index(kind)]))
