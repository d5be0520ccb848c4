"""Several heads at once: the sequences of jobs shared out to simulators that run side by side.

Sequences are independent of each other, because each starts with a flush; so the result does not
depend on who ran what.
"""

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from itertools import accumulate, pairwise

import numpy as np

from common.files import scratch_folder
from common.processes import threads
from cosim.run.building import Build
from cosim.run.job import Job, Outcome
from cosim.run.progress import Counter, Progress

__all__ = ["available_workers", "run_jobs", "share_out"]

POLL_S = 0.1


def available_workers() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def run_jobs(
    build: Build, jobs: Sequence[Job], workers: int, label: str = ""
) -> tuple[list[Outcome], float]:
    """Simulate jobs of the same options in up to `workers` simulators at once.

    label: names the work in its progress lines; none are shown if empty. Returns an outcome per
    job, and the seconds that the slowest worker spent simulating. Raises what `Build.run` raises.
    """
    whole = Job.join(jobs)
    whole.check(build.spec)
    sequences = whole.sequences
    shares = share_out([len(s) for s in sequences], workers)
    places = [np.concatenate([sequences[i] for i in share]) for share in shares]
    parts = _run_all(build, [whole.take(p) for p in places], label)
    outcome = Outcome.merge(list(zip(places, parts, strict=True)))
    stops = accumulate((job.tokens for job in jobs), initial=0)
    outcomes = [outcome.take(np.arange(a, b)) for a, b in pairwise(stops)]
    return outcomes, max(float(part.wall_s.sum()) for part in parts)


def share_out(lengths: Sequence[int], workers: int) -> list[list[int]]:
    """Indices of the sequences for each worker, ascending: the longest first, to whom has least."""
    shares: list[list[int]] = [[] for _ in range(min(workers, len(lengths)))]
    loads = [0] * len(shares)
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        least = loads.index(min(loads))
        shares[least].append(index)
        loads[least] += lengths[index]
    return [sorted(share) for share in shares]


def _run_all(build: Build, jobs: list[Job], label: str) -> list[Outcome]:
    with scratch_folder(build.folder.parent, "progress-") as folder:
        paths = [folder / str(i) for i in range(len(jobs))]
        progress = Progress(label, sum(job.tokens for job in jobs), [Counter(p) for p in paths])
        with threads(len(jobs)) as pool:
            running = [
                pool.submit(build.run, job, None, path)
                for job, path in zip(jobs, paths, strict=True)
            ]
            left = set(running)
            while left:
                done, left = wait(left, timeout=POLL_S, return_when=FIRST_EXCEPTION)
                if label:
                    progress.show()
                for future in done:
                    future.result()  # the first fault ends all
        outcomes = [future.result() for future in running]
        if label:
            progress.show(finished=True)
    return outcomes
