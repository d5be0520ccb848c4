"""The golden head for many tokens at once: what `check.golden_traces` gives, without its loop.

The window of each token is gathered from the codes of the job, so that one batched product serves
all tokens: for small heads a hundred times faster. Memory grows with tokens * window * head_dim.
"""

from typing import NamedTuple

import numpy as np

from analog_models.physics import (
    cell_terms,
    charge_to_pulse,
    count_pulses,
    leakage_factors,
    leakage_table,
    row_charge,
    score_charge,
    signed_charge_to_pulse,
)
from analog_models.spec import HardwareSpec
from cosim.job import Job

__all__ = ["Batch", "Windows", "golden_batch", "windows"]


class Windows(NamedTuple):
    """What the window of each token holds.

    Attributes:
        token: [token, slot] the token that a slot holds, -1 if it is not in the sequence.
        age: [token, slot] tokens written since then.
        length: [token] tokens that the window can hold.
        written: [token] tokens of the sequence so far.
    """

    token: np.ndarray
    age: np.ndarray
    length: np.ndarray
    written: np.ndarray


class Batch(NamedTuple):
    """What every token of a job does in the golden head.

    Attributes:
        rows: [token, slot] widths in ps of the activation pulses that reach the V array.
        counts: [token, sub-tile, d] signed counts.
        out: [token, d] output codes.
    """

    rows: np.ndarray
    counts: np.ndarray
    out: np.ndarray


def windows(spec: HardwareSpec, job: Job) -> Windows:
    """Follow the window pointer through a job."""
    shape = (job.tokens, spec.geometry.window)
    held, written_at = np.full(shape[1], -1), np.zeros(shape[1], dtype=np.int64)
    result = Windows(*(np.zeros(s, dtype=np.int64) for s in (shape, shape, shape[:1], shape[:1])))
    length, written, writes = spec.geometry.window, 0, 0
    flags = zip(job.flush, job.query_only, job.lengths(spec).tolist(), strict=True)
    for token, (flush, query_only, asked) in enumerate(flags):
        if not query_only:
            if flush or not writes:
                held[:], written, length = -1, 0, asked
            slot = written % length
            held[slot], written_at[slot] = token, writes
            written, writes = written + 1, writes + 1
        result.token[token], result.age[token] = held, writes - 1 - written_at
        result.length[token], result.written[token] = length, written
    return result


def golden_batch(spec: HardwareSpec, job: Job) -> Batch:
    """Pulses, counts and output codes of a job, equal to those of `GoldenHead`."""
    window = windows(spec, job)
    keys, values = (codes.astype(np.float64)[window.token] for codes in (job.k, job.v))
    constant, k_terms = cell_terms(spec, keys)
    _, v_terms = cell_terms(spec, values)
    leak = leakage_factors(leakage_table(spec, like=keys), window.age[:, None, :])
    q = job.q.astype(np.float64)[:, None, :]
    phi_ps = charge_to_pulse(spec, score_charge(q, constant, k_terms, leak))
    phi_ps = phi_ps * (window.token >= 0)[:, None, :]
    charge = row_charge(spec, phi_ps, constant, v_terms, leak)[:, :, 0]
    counts = count_pulses(spec, signed_charge_to_pulse(spec, charge))
    return Batch(phi_ps[:, 0], counts, counts.sum(1))
