"""All that an outcome has to be: codes, pulses, counts and cycles, against the golden head."""

import numpy as np

from analog_models.spec import HardwareSpec
from analog_models.timing import predict
from analog_models.workload import Workload
from cosim.reference.batch import Batch, golden_batch
from cosim.run.job import Job, Outcome

__all__ = ["fault"]


def fault(spec: HardwareSpec, job: Job, outcome: Outcome, golden: Batch | None = None) -> str:
    """What is wrong with an outcome, its first token named; empty if nothing is.

    golden: what `golden_batch` makes of the job, if that is known already.
    """
    golden = golden or golden_batch(spec, job)
    compared = {
        "output code": (outcome.out, golden.out),
        "count": (outcome.counts, golden.counts),
        "query": (outcome.queries, job.q),
        "activation pulse": (outcome.rows, golden.rows),
    }
    for name, seen in (("accepted", outcome.accepted), ("finished", outcome.finished)):
        if len(seen) != job.tokens:
            return f"{len(seen)} tokens {name}: expected {job.tokens}"
    for name, (got, expected) in compared.items():
        if got.shape != expected.shape:
            return f"{len(got)} tokens have a {name}: expected {len(expected)}"
    wrong = {name: _differ(*pair) for name, pair in compared.items()}
    accepted, finished = _expected_cycles(spec, job, outcome)
    wrong["cycle of acceptance"] = outcome.accepted != accepted
    wrong["cycle of the result"] = outcome.finished != finished
    first = sorted((int(np.argmax(bad)), name) for name, bad in wrong.items() if bad.any())
    return "token {}: wrong {}".format(*first[0]) if first else ""


def _differ(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Tokens in which two arrays [token, ...] differ."""
    return (got != expected).reshape(len(got), -1).any(1)


def _expected_cycles(
    spec: HardwareSpec, job: Job, outcome: Outcome
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles in which each token has to be accepted and finished: two arrays [token].

    The first token may be accepted whenever the reset is over.
    """
    timing = predict(spec, Workload(job.query_only == 1, job.schedule, job.gaps, job.stalls))
    start = outcome.accepted[0] - timing.accepted[0]
    return timing.accepted + start, timing.finished + start
