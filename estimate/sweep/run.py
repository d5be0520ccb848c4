"""The errors of many designs on several cores; what is done is kept, so that a run can go on."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from analog_models import attend, physics
from analog_models.spec import HardwareSpec, designs
from common import processes
from common.files import write_json
from common.progress import ProgressLine
from common.resume import Kept, kept_in
from estimate.sweep import attention, design, signals
from estimate.sweep.attention import attention_error, reference_output
from estimate.sweep.design import Design
from estimate.sweep.signals import Text

__all__ = ["available_workers", "error_key", "find_errors", "identity_of"]

BATCH = 8  # designs between two saves
# What an error is computed with.
SOURCES = (physics, attend, designs, attention, design, signals)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # workers are side by side
Errors = dict[str, float]


class KeptErrors(Kept):
    """Errors by key, as the file has them."""

    errors: dict[str, Annotated[float, Field(ge=0)]]


def available_workers() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def error_key(point: Design, tokens: int) -> str:
    """What of a design decides its error: not the schedule, nor how much of the window is empty."""
    window = "all" if point.window >= tokens else point.window
    decisive = point._asdict() | {"window": window}
    return " ".join(f"{name}={value!r}" for name, value in decisive.items() if name != "schedule")


def identity_of(base: HardwareSpec, signals: Text, seed: int) -> str:
    """Hash of all else that decides errors: specification, text, and the code that computes."""
    sources = [Path(m.__file__ or "").read_text("utf-8") for m in SOURCES]
    parts = [base.codes_hash, signals.sha256, signals.tokens, seed, *sources]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def find_errors(
    base: HardwareSpec,
    signals: Text,
    wanted: dict[str, HardwareSpec],
    path: Path,
    identity: str,
    workers: int,
) -> Errors:
    """Attention error of each specification, by key.

    path: where errors are kept, those of this `identity`. workers: processes, none
    of its own if 1.
    """
    kept = kept_in(path, KeptErrors, identity)
    known = dict(kept.errors) if kept else {}
    left = [key for key in wanted if key not in known]
    progress = _Progress(len(wanted), len(wanted) - len(left))
    if left:
        reference = reference_output(base, signals)
        batches = [left[i : i + BATCH] for i in range(0, len(left), BATCH)]
        tasks = [({key: wanted[key] for key in keys}, signals, reference) for keys in batches]
        with closing(_run(tasks, workers)) as coming:
            for found in coming:
                known |= found
                write_json(path, {"identity": identity, "errors": known})
                progress.add(len(found))
    return {key: known[key] for key in wanted}


Task = tuple[dict[str, HardwareSpec], Text, np.ndarray]


def _batch(specs: dict[str, HardwareSpec], signals: Text, reference: np.ndarray) -> Errors:
    return {key: attention_error(spec, signals, reference) for key, spec in specs.items()}


def _run(tasks: Sequence[Task], workers: int) -> Generator[Errors, None, None]:
    """Results of the batches as they come."""
    workers = min(workers, len(tasks))
    if workers == 1:
        yield from (_batch(*task) for task in tasks)
        return
    with processes.variables_set(ONE_THREAD), processes.workers(workers) as pool:
        yield from _completed(pool, tasks, 2 * workers)


def _completed(pool: Executor, tasks: Iterable[Task], most: int) -> Iterator[Errors]:
    """Submit tasks, at most so many at a time, and give back what is done."""
    waiting, running = iter(tasks), set[Future[Errors]]()
    while True:
        for task in islice(waiting, most - len(running)):
            running.add(pool.submit(_batch, *task))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


class _Progress:
    """A line on stderr as batches are done."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done, self._first = total, done, done
        self._line, self._started = ProgressLine(), time.perf_counter()
        if done:
            print(f"errors: {done}/{total} were known", file=sys.stderr, flush=True)

    def add(self, count: int) -> None:
        self._done += count
        rate = (self._done - self._first) / (time.perf_counter() - self._started)
        left_s = (self._total - self._done) / rate
        text = f"errors: {self._done}/{self._total}, {left_s:.0f} s left"
        self._line.show(text, last=self._done == self._total)
