"""Readers of jobs and outcomes, of a head and of a core."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from common.tensors import load_tensors
from cosim.run.core_job import CoreJob, CoreOutcome, Fault
from cosim.run.job import Job, Outcome
from tests.fuzz.mutations import damaged_tensors
from tests.fuzz.reading import Reader

FILE = "file.safetensors"
TOKENS, DIM, SUBTILES, SLOTS = 3, 2, 2, 4
_codes = np.arange(TOKENS * DIM, dtype=np.uint8).reshape(TOKENS, DIM)
_counts = np.arange(TOKENS)
_by_head = np.zeros((TOKENS, 2, DIM), dtype=np.uint8)

RECORDS = [
    Job(_codes, _codes, _codes, _counts == 0, _counts, max_gap=3, seed=5, exact=True),
    Outcome(
        out=_codes.astype(np.int16),
        counts=np.zeros((TOKENS, SUBTILES, DIM), dtype=np.int64),
        queries=_codes,
        rows=np.zeros((TOKENS, SLOTS), dtype=np.int64),
        accepted=_counts,
        finished=_counts + 5,
        wall_s=_counts / 2,
        trace={"score": _counts / 3},
    ),
    CoreJob(
        _by_head,
        _by_head,
        _by_head,
        _counts == 0,
        _counts == 2,
        schedule=1,
        window_length=4,
        faults=(Fault("phi_stuck", 1, 0),),
    ),
    CoreOutcome(_codes, _counts, {"errors": 0, "error_pin": 1}),
]


def _fields(record: Any) -> dict[str, Any]:
    """What a record holds, comparable."""
    return {
        name: (value.dtype.str, value.tolist()) if isinstance(value, np.ndarray) else value
        for name, value in (vars(record) | vars(record).get("trace", {})).items()
        if name != "trace"
    }


def _same_when_saved(record: Any, folder: Path) -> None:
    record.save(folder / FILE)
    again = type(record).load(folder / FILE)
    assert repr(_fields(again)) == repr(_fields(record))  # as text, where NaN equals itself


def _loader(kind: type) -> Callable[[Path], Any]:
    return lambda folder: kind.load(folder / FILE)  # type: ignore[attr-defined]


def _readers() -> Iterator[Reader]:
    for record in RECORDS:
        with TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            record.save(path)
            content, (arrays, metadata) = path.read_bytes(), load_tensors(path)
        damaged = damaged_tensors(arrays, metadata).map(lambda found: {FILE: found})
        kind = type(record)
        yield Reader(kind.__name__, {FILE: content}, damaged, _loader(kind), _same_when_saved)


READERS = [*_readers()]
