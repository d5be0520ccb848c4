"""Jobs one after the other in a simulator that stays are one job, whatever comes between them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analog_models.spec import overlaid
from common.errors import CodeError, GaincellError, ToolError
from cosim.reference.comparison import GoldenSession
from cosim.run import building as runner
from cosim.run.building import SIMULATORS, build
from cosim.run.session import Session
from tests.cosim.conftest import random_job, small_spec
from tests.cosim.test_faults import stuck


def pieces(job):
    """The job cut into pieces of 1 to 20 tokens."""
    return [job.take(part) for part in np.array_split(np.arange(job.tokens), [1, 2, 20, 23])]


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_pieces_are_the_whole(simulator):
    spec = overlaid(small_spec(), "typical")  # each token has noise of its own, too
    try:
        compiled = build(spec, simulator)
    except ToolError as error:
        pytest.skip(str(error))
    job = random_job(spec, 40, 1, 0.1, max_stall=9)
    job.schedule[:] = np.arange(job.tokens) // 7 % len(spec.schedules)
    golden, whole, seen = GoldenSession(spec), compiled.run(job), []
    with Session(compiled) as session:
        for piece in pieces(job):
            session.hand_over(piece)
            seen.append(session.outcome())
            assert np.array_equal(seen[-1].out, golden.codes(piece))
    for name in ("out", "counts", "queries", "rows"):
        joined = np.concatenate([getattr(outcome, name) for outcome in seen])
        assert np.array_equal(joined, getattr(whole, name)), name
    assert not np.array_equal(seen[-1].out, compiled.run(pieces(job)[-1]).out)  # it had a window
    accepted = np.concatenate([outcome.accepted for outcome in seen])
    assert (np.diff(accepted) > 0).all()


def test_a_bad_job_is_refused_and_the_next_one_taken():
    spec = small_spec()
    job, compiled = random_job(spec, 6, 2), build(spec)
    bad = replace(job, k=job.k + 8)
    with Session(compiled) as session:
        with pytest.raises(CodeError, match="k"):
            session.hand_over(bad)
        session.hand_over(job)
        assert np.array_equal(session.outcome().out, compiled.run(job).out)


def test_a_fault_of_the_head_is_named_and_the_end_does_not_hang(monkeypatch, tmp_path):
    spec = small_spec()
    monkeypatch.setattr(runner, "emit", stuck("score", 0))
    compiled = build(spec, build_root=tmp_path)
    with Session(compiled) as session:
        for _ in range(2):  # the simulator has ended: the second job finds it so
            session.hand_over(random_job(spec, 3, 0))
            with pytest.raises(GaincellError, match="query 0: its K capacitor holds no score"):
                session.outcome()
    assert not [*tmp_path.rglob("job-*")]


def test_a_simulator_that_does_not_start_is_named(tmp_path):
    compiled = replace(build(small_spec()), folder=tmp_path)
    with Session(compiled) as session:
        session.hand_over(random_job(small_spec(), 3, 0))
        with pytest.raises(GaincellError, match=r"ended early: see .*simulator\.log"):
            session.outcome()


def test_a_session_without_a_job_ends():
    with Session(build(small_spec())):
        pass


def test_a_compiled_simulation_belongs_to_where_its_simulator_lies(monkeypatch):
    """It holds that path: a moved checkout compiles anew."""
    spec, icarus = small_spec(), SIMULATORS["icarus"]
    here = build(spec)
    assert build(spec).folder == here.folder
    monkeypatch.setattr(type(icarus), "place", lambda self: Path("/elsewhere/vvp"))
    assert build(spec).folder != here.folder
