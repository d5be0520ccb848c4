"""The heads of a language model as hardware that keeps its window between two calls.

Both kinds take the same jobs: `SimulatedHeads` in Verilog, coupled to the analog model, and
`GoldenHeads`, the reference in numpy.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from analog_models.head import GoldenHead
from analog_models.spec import HardwareSpec
from cosim.job import Job, Outcome
from cosim.session import Session
from cosim.simulation import Build

__all__ = ["Feed", "GoldenHeads", "Heads", "SimulatedHeads"]


class Heads(Protocol):
    """All heads of a model."""

    def attend(
        self, layer: int, position: int, q: np.ndarray, k: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        """Output codes [head, token, d] of a layer for codes [head, token, d] of the next tokens.

        position: of the first of them in the text; at 0 the window is flushed.
        """
        ...


@dataclass(frozen=True)
class Feed:
    """How tokens are fed to heads of `spec`.

    schedule: its name. max_wait: random waits of up to so many cycles on both streams, decided by
    `seed` and the place of head and token.
    """

    spec: HardwareSpec
    schedule: str
    max_wait: int = 0
    seed: int = 0

    def job(self, layer: int, head: int, position: int, *codes: np.ndarray) -> Job:
        """The job of one head for the codes q, k, v [token, d] of the next tokens."""
        tokens = len(codes[0])
        flush = np.zeros(tokens, dtype=np.uint8)
        flush[0] = position == 0
        place = np.random.SeedSequence((self.seed, layer, head, position))
        return Job(
            *codes,
            flush=flush,
            window_length=np.full(tokens, self.spec.geometry.window, dtype=np.int32),
            schedule=np.full(tokens, self.spec.schedule_number(self.schedule), dtype=np.uint8),
            max_gap=self.max_wait,
            max_stall=self.max_wait,
            seed=int(place.generate_state(1)[0]),
        )


class GoldenHeads:
    """The golden head in numpy, once for each head of each layer."""

    def __init__(self, feed: Feed, layers: int, heads: int) -> None:
        self._feed = feed
        self._heads = [[GoldenHead(feed.spec) for _ in range(heads)] for _ in range(layers)]

    def attend(
        self, layer: int, position: int, q: np.ndarray, k: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        if position == 0:
            for head in self._heads[layer]:
                head.flush()
        return np.stack(
            [head.run(*x) for head, *x in zip(self._heads[layer], q, k, v, strict=True)]
        )


class SimulatedHeads:
    """A simulator for each head of each layer, in a `with` statement.

    The heads of a layer work at the same time; between two tokens their simulated time stands
    still. tell: is told how many tokens have been through a head, whenever that grows.
    """

    def __init__(
        self,
        build: Build,
        feed: Feed,
        layers: int,
        heads: int,
        tell: Callable[[int], None] = lambda head_tokens: None,
    ) -> None:
        self._feed, self._tell = feed, tell
        self._outcomes: list[Outcome] = []
        with ExitStack() as stack:
            self._sessions = [
                [stack.enter_context(Session(build)) for _ in range(heads)] for _ in range(layers)
            ]
            for session in chain(*self._sessions):
                session.wait_until_ready()
            self._stack = stack.pop_all()

    def __enter__(self) -> "SimulatedHeads":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def attend(
        self, layer: int, position: int, q: np.ndarray, k: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        """As in `Heads`. Raises `CodeError` for bad codes, and as `Session.outcome` does."""
        sessions = self._sessions[layer]
        for head, (session, *codes) in enumerate(zip(sessions, q, k, v, strict=True)):
            session.hand_over(self._feed.job(layer, head, position, *codes))
        outcomes = [session.outcome() for session in sessions]
        self._outcomes += outcomes
        self._tell(self.head_tokens)
        return np.stack([outcome.out for outcome in outcomes])

    @property
    def head_tokens(self) -> int:
        return sum(len(outcome.out) for outcome in self._outcomes)

    def measured(self) -> dict[str, Any]:
        """Head-tokens, and medians of the clock cycles that they took.

        Cycles between tokens are those inside a call; None if every call was for one token.
        """
        cycles = np.concatenate([outcome.cycles for outcome in self._outcomes])
        between = np.concatenate([np.diff(outcome.accepted) for outcome in self._outcomes])
        return {
            "head_tokens": self.head_tokens,
            "cycles_per_token": float(np.median(cycles)),
            "cycles_per_token_range": [int(cycles.min()), int(cycles.max())],
            "cycles_between_tokens": float(np.median(between)) if len(between) else None,
        }
