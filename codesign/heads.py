"""The heads of a language model as hardware that keeps its window between two calls.

One pair of arrays with its control serves a key and value head and the query heads that share it:
it is written once a token, and asked once for each of these. Both kinds take the same jobs:
`SimulatedHeads` in Verilog, coupled to the analog model, and `GoldenHeads`, the reference in numpy.
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
from cosim.run.job import Job
from cosim.run.session import Session

__all__ = ["Feed", "GoldenHeads", "Heads", "SimulatedHeads"]


class Heads(Protocol):
    """All heads of a model."""

    def attend(
        self, layer: int, position: int, q: np.ndarray, k: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        """Output codes [Hq, token, d] of a layer for codes of the next tokens.

        q: [Hq, token, d], k and v: [Hkv, token, d]; query heads i*g ... i*g + g - 1 share key and
        value head i. position: of the first token in the text; at 0 the window is flushed.
        """
        ...


@dataclass(frozen=True)
class Feed:
    """How tokens are fed to `layers` x `heads` pairs of arrays on the hardware `spec`.

    heads: key and value heads of a layer. group: query heads that share one. schedule: its name.
    max_wait: random waits of up to so many cycles on both streams. Waits and noise are decided by
    `seed` and the place of head and token. Raises `SpecError` for a schedule that `spec` does not
    have.
    """

    spec: HardwareSpec
    layers: int
    heads: int
    schedule: str
    max_wait: int = 0
    seed: int = 0
    group: int = 1

    def __post_init__(self) -> None:
        self.spec.schedule_number(self.schedule)

    def jobs(
        self, layer: int, position: int, q: np.ndarray, k: np.ndarray, v: np.ndarray
    ) -> list[Job]:
        """The jobs of the pairs of arrays of a layer, from codes as in `Heads.attend`.

        Token after token the query heads of a group in turn; all but the first are queries only.
        Pair h of layer l is piece l * heads + h of the hardware, as in `ml.evaluate.imperfect`.
        """
        heads, tokens, dim = k.shape
        in_turn = q.reshape(heads, self.group, tokens, dim).swapaxes(1, 2)
        codes = (in_turn.reshape(heads, -1, dim), *(x.repeat(self.group, axis=1) for x in (k, v)))
        by_head = zip(*codes, strict=True)
        return [self._job(layer, head, position, *each) for head, each in enumerate(by_head)]

    def _job(self, layer: int, head: int, position: int, *codes: np.ndarray) -> Job:
        queries = len(codes[0])
        flush = np.zeros(queries, dtype=np.uint8)
        flush[0] = position == 0
        place = np.random.SeedSequence((self.seed, layer, head, position))
        return Job(
            *codes,
            flush=flush,
            window_length=np.full(queries, self.spec.geometry.window, dtype=np.int32),
            query_only=(np.arange(queries) % self.group > 0).astype(np.uint8),
            schedule=np.full(queries, self.spec.schedule_number(self.schedule), dtype=np.uint8),
            max_gap=self.max_wait,
            max_stall=self.max_wait,
            seed=int(place.generate_state(1)[0]),
            device=layer * self.heads + head,
        )

    def by_query_head(self, outs: list[np.ndarray]) -> np.ndarray:
        """Output codes [query, d] of each job of a layer -> [Hq, token, d]."""
        stacked = np.stack(outs)
        in_turn = stacked.reshape(len(outs), -1, self.group, stacked.shape[-1])
        return in_turn.swapaxes(1, 2).reshape(len(outs) * self.group, -1, stacked.shape[-1])


class GoldenHeads:
    """The golden head in numpy, once for each pair of arrays of each layer."""

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
        return self._feed.by_query_head([session.codes(job) for session, job in answers])


class SimulatedHeads:
    """A simulator for each pair of arrays of each layer, in a `with` statement.

    Nothing is shared between them but the program on disk: each has the RTL's state, the arrays and
    the window of its own head alone. Those of a layer work at the same time; between two tokens
    their simulated time stands still. tell: is told how many tokens have been through a query
    head, whenever that grows. started: is told how many simulators are ready.
    """

    def __init__(
        self,
        build: Build,
        feed: Feed,
        tell: Callable[[int], None] = lambda head_tokens: None,
        started: Callable[[int], None] = lambda simulators: None,
    ) -> None:
        self._feed, self._tell = feed, tell
        self.head_tokens = 0
        self._cycles: list[np.ndarray] = []
        self._between: list[np.ndarray] = []
        with ExitStack() as stack:
            self._sessions = [
                [stack.enter_context(Session(build)) for _ in range(feed.heads)]
                for _ in range(feed.layers)
            ]
            for number, session in enumerate(chain(*self._sessions), start=1):
                session.wait_until_ready()
                started(number)
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
        self._cycles += [outcome.cycles for outcome in outcomes]
        self._between += [np.diff(outcome.accepted) for outcome in outcomes]
        self.head_tokens += sum(len(outcome.out) for outcome in outcomes)
        self._tell(self.head_tokens)
        return self._feed.by_query_head([outcome.out for outcome in outcomes])

    def measured(self) -> dict[str, Any]:
        """Head-tokens, which are queries, and medians of the clock cycles that they took.

        Cycles between tokens are those between two queries inside a call; None if every call was
        for one query.
        """
        cycles, between = np.concatenate(self._cycles), np.concatenate(self._between)
        return {
            "head_tokens": self.head_tokens,
            "cycles_per_token": float(np.median(cycles)),
            "cycles_per_token_range": [int(cycles.min()), int(cycles.max())],
            "cycles_between_tokens": float(np.median(between)) if len(between) else None,
        }
