"""Sequences shared out to several simulators give the same as one after the other."""

import numpy as np
import pytest

from common.errors import CodeError
from cosim.run.building import build
from cosim.run.job import Job
from cosim.run.progress import Counter, Progress
from cosim.run.workers import run_jobs, share_out
from tests.cosim.conftest import expected_codes, random_job, small_spec


@pytest.mark.parametrize(
    ("lengths", "workers", "shares"),
    [
        ([5], 3, [[0]]),
        ([1, 9, 1, 1], 2, [[1], [0, 2, 3]]),
        ([4, 4, 4, 4], 2, [[0, 2], [1, 3]]),
        ([3, 2, 1], 1, [[0, 1, 2]]),
    ],
)
def test_the_longest_sequence_goes_to_whom_has_least(lengths, workers, shares):
    assert share_out(lengths, workers) == shares


def jobs(spec):
    """Two jobs of several sequences each; the first token of each starts one."""
    made = [random_job(spec, tokens, seed, 0.1) for tokens, seed in ((60, 1), (45, 2))]
    for job in made:
        job.flush[0] = 1
    return made


def test_the_outcome_does_not_depend_on_the_workers():
    spec = small_spec()
    compiled = build(spec)
    one, _ = run_jobs(compiled, jobs(spec), workers=1)
    three, wall_s = run_jobs(compiled, jobs(spec), workers=3)
    assert wall_s > 0
    for job, alone, shared in zip(jobs(spec), one, three, strict=True):
        assert np.array_equal(alone.out, expected_codes(spec, job))
        for name in ("out", "counts", "queries", "rows", "cycles"):
            assert np.array_equal(getattr(shared, name), getattr(alone, name)), name
    for name in ("slot", "q", "row_ps", "width_ps"):  # pulses stopped by the gate do depend
        assert np.array_equal(three[-1].trace[name], one[-1].trace[name]), name


def test_a_bad_job_never_reaches_a_simulator():
    spec = small_spec()
    bad = jobs(spec)
    bad[1].k[3, 2] = 8
    with pytest.raises(CodeError, match=r"k\[63, 2\] = 8"):
        run_jobs(build(spec), bad, workers=2)


def test_sequences_start_at_a_flush_that_is_no_further_query():
    job = random_job(small_spec(), 6, 0)
    job.flush[:], job.query_only[:] = [0, 1, 1, 0, 1, 0], [0, 0, 1, 1, 0, 0]
    assert job.sequences == [range(0, 1), range(1, 4), range(4, 6)]
    parts = [job.take(list(s)) for s in job.sequences]
    assert np.array_equal(Job.join(parts).k, job.k) and Job.join(parts).max_gap == job.max_gap


def test_progress_sums_what_several_processes_count(tmp_path, capsys):
    mine = [Counter(tmp_path / name) for name in "ab"]
    for name, tokens in (("a", 30), ("b", 12)):
        Counter(tmp_path / name).tokens = tokens
    Progress("heads", 42, mine).show(finished=True)
    assert capsys.readouterr().err == "heads: 42/42 head-tokens\n"
