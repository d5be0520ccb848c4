"""The golden head for many tokens at once: what `comparison.golden_traces` gives, without its loop.

The window of each token is gathered from the codes of the job, so that one batched product serves
all tokens: for small heads a hundred times faster. Memory grows with tokens * window * head_dim.
"""

from typing import NamedTuple

import numpy as np

from analog_models.attend import cells_of, counts_of, pulses_and_charge, written_v
from analog_models.noise import KINDS, event_generator
from analog_models.spec import HardwareSpec
from analog_models.variation import head_variation
from cosim.run.job import Job

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
    window, noise = windows(spec, job), _noise(spec, job)
    keys_v, values_v = (
        written_v(spec, codes, noise[kind])[window.token]
        for codes, kind in ((job.k, "write_k"), (job.v, "write_v"))
    )
    drawn = head_variation(spec, job.device)
    cells = cells_of(spec, keys_v, values_v, variation=drawn)
    q, age = job.q.astype(np.float64), np.where(window.token >= 0, window.age, -1)
    phi_ps, charge = pulses_and_charge(
        spec, q[:, None], cells, age[:, None], phi=drawn.phi, noise=noise["read_k"]
    )
    counts = counts_of(spec, charge[:, :, 0], out=drawn.out, noise=noise["read_v"])
    return Batch(phi_ps[:, 0], counts, counts.sum(1))


def _noise(spec: HardwareSpec, job: Job) -> dict[str, list[np.random.Generator] | None]:
    """For each kind of event the generators of all tokens, if there is noise."""
    if not spec.imperfections.noisy:
        return dict.fromkeys(KINDS)
    return {kind: [event_generator(job.seed, n, kind) for n in job.noise] for kind in KINDS}
