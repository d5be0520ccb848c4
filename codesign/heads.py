"""The heads of a language model as hardware that keeps its window between two calls.

Both kinds take the same jobs: `SimulatedHeads` in Verilog, coupled to the analog model, and
`GoldenHeads`, the reference in numpy.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np

from analog_models.spec import HardwareSpec
from cosim.reference.comparison import GoldenSession
from cosim.run.compiled import Build
from cosim.run.job import Job, Outcome
from cosim.run.session import Session

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
    """How tokens are fed to `layers` x `heads` heads of `spec`.

    schedule: its name. max_wait: random waits of up to so many cycles on both streams. Waits and
    noise are decided by `seed` and the place of head and token. Raises `SpecError` for a schedule
    that `spec` does not have.
    """

    spec: HardwareSpec
    layers: int
    heads: int
    schedule: str
    max_wait: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        self.spec.schedule_number(self.schedule)

    def jobs(self, layer: int, position: int, *codes: np.ndarray) -> list[Job]:
        """The jobs of the heads of a layer for codes q, k, v [head, token, d] of the next tokens.

        Head h of layer l is piece l * heads + h of the hardware, as in `ml.evaluate.imperfect`.
        """
        by_head = zip(*codes, strict=True)
        return [self._job(layer, head, position, *each) for head, each in enumerate(by_head)]

    def _job(self, layer: int, head: int, position: int, *codes: np.ndarray) -> Job:
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
            device=layer * self.heads + head,
        )


class GoldenHeads:
    """The golden head in numpy, once for each head of each layer."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._sessions = [
            [GoldenSession(feed.spec) for _ in range(feed.heads)] for _ in range(feed.layers)
        ]

    def attend(
        self, layer: int, position: int, q: np.ndarray, k: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        jobs = self._feed.jobs(layer, position, q, k, v)
        answers = zip(self._sessions[layer], jobs, strict=True)
        return np.stack([session.codes(job) for session, job in answers])


class SimulatedHeads:
    """A simulator for each head of each layer, in a `with` statement.

    The heads of a layer work at the same time; between two tokens their simulated time stands
    still. tell: is told how many tokens have been through a head, whenever that grows.
    """

    def __init__(
        self,
        build: Build,
        feed: Feed,
        tell: Callable[[int], None] = lambda head_tokens: None,
    ) -> None:
        self._feed, self._tell = feed, tell
        self._outcomes: list[Outcome] = []
        with ExitStack() as stack:
            self._sessions = [
                [stack.enter_context(Session(build)) for _ in range(feed.heads)]
                for _ in range(feed.layers)
            ]
            for session in chain(*self._sessions):
                session.wait_until_ready()
            self._stack = stack.pop_all()

    def __enter__(self) -> "SimulatedHeads":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]

    def attend(
        self, layer: int, position: int, q: np.ndarray, k: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        """As in `Heads`. Raises `CodeError` for bad codes, and as `Session.outcome` does."""
        sessions = self._sessions[layer]
        jobs = self._feed.jobs(layer, position, q, k, v)
        for session, job in zip(sessions, jobs, strict=True):
            session.hand_over(job)
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
