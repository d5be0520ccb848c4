"""What the coverage command counts, and that it fails where something has not happened."""

import json
import sys
from typing import Any

import numpy as np
import pytest

from cosim.closure import coverage
from cosim.closure.bins import IMPOSSIBLE, CoverageModel, declared_points, events
from cosim.closure.directed import Recipes, directed_job
from cosim.closure.stimulus import closure_spec, random_job
from cosim.reference.batch import golden_batch
from cosim.reference.comparison import golden_traces
from cosim.run.job import Job

SPEC = closure_spec()


def hand_made_job(**changes) -> Job:
    """Six tokens: three of a window of two, a query, then a flush and one token more."""
    tokens = 6
    columns: dict[str, Any] = {
        "q": np.full((tokens, 4), SPEC.levels.q_max, dtype=np.uint8),
        "k": np.full((tokens, 4), SPEC.levels.kv_max, dtype=np.uint8),
        "v": np.full((tokens, 4), SPEC.levels.kv_max, dtype=np.uint8),
        "flush": np.array([0, 0, 0, 0, 1, 0], dtype=np.uint8),
        "query_only": np.array([0, 0, 0, 1, 0, 0], dtype=np.uint8),
        "window_length": np.array([2, 9, 9, 9, 0, 1], dtype=np.int32),
        "schedule": np.array([0, 0, 1, 1, 3, 2], dtype=np.uint8),
    }
    return Job(**columns | changes)


def events_of(job: Job) -> list:
    golden = golden_batch(SPEC, job)
    return list(events(SPEC, job, golden.rows, golden.counts))


@pytest.mark.parametrize("seed", range(4))
def test_the_batch_equals_the_golden_head(seed):
    job = random_job(SPEC, 300, seed)
    golden = golden_batch(SPEC, job)
    traces = [*golden_traces(SPEC, job)]
    assert np.array_equal(golden.out, [trace.out for trace in traces])
    assert np.array_equal(golden.counts, [trace.counts for trace in traces])
    assert np.array_equal(golden.rows, [trace.phi_ps for trace in traces])


def test_events_name_what_happened():
    seen = events_of(hand_made_job())
    assert [e.schedule for e in seen] == [
        *["leroux2025"] * 2,
        *["overlapped"] * 2,
        "leroux2025",  # a number out of range is the first
        "pipelined",
    ]
    assert [e.wrap for e in seen] == [
        *("not full", "just full", "wrapped", "wrapped"),
        *("not full", "not full"),
    ]
    assert [e.length for e in seen] == ["2"] * 4 + ["whole window"] * 2
    assert {e.saturation for e in seen} == {"both"} and {e.sign for e in seen} == {"positive"}
    assert [e.query for e in seen] == [None, None, None, "first", None, None]
    assert [e.flush for e in seen] == [None] * 4 + ["wrapped", None]
    assert [e.change for e in seen] == [
        *(None, None, ("leroux2025", "overlapped"), None),
        *(("overlapped", "leroux2025"), ("leroux2025", "pipelined")),
    ]


def test_events_tell_signs_and_back_pressure():
    silent = events_of(hand_made_job(q=np.zeros((6, 4), dtype=np.uint8)))
    assert {(e.sign, e.saturation) for e in silent} == {("zero", "none")}
    v = np.zeros((6, 4), dtype=np.uint8)
    assert {e.sign for e in events_of(hand_made_job(v=v))} == {"negative"}
    v[:, 0] = SPEC.levels.kv_max
    assert {e.sign for e in events_of(hand_made_job(v=v))} == {"mixed"}
    job = random_job(SPEC, 200, 5, (9, 9))
    expected = {(0, 0): "none", (1, 0): "gap", (0, 1): "stall", (1, 1): "both"}
    waited = zip((job.gaps > 0).tolist(), (job.stalls > 0).tolist(), strict=True)
    assert [e.back_pressure for e in events_of(job)] == [expected[w] for w in waited]


def test_impossible_crosses_are_not_declared():
    model = CoverageModel(declared_points(SPEC))
    declared = model.missing("all six")
    assert len(declared) == 3 * 4 * (5 * 3 - 1) * (4 * 4 - 2)
    assert len(IMPOSSIBLE) == 3
    for job in (random_job(SPEC, 300, 1), hand_made_job()):
        for event in events_of(job):
            assert event[:6] in declared
            model.sample(event)
    assert len(model.missing("all six")) < len(declared)


def test_a_directed_job_hits_what_is_wanted():
    recipes = Recipes(SPEC)
    recipes.look(1500, 0)
    kind = ("2", "wrapped", "none", "zero")
    assert kind in recipes
    wanted = {("pipelined", "stall", *kind), ("overlapped", "both", *kind)}
    job = directed_job(SPEC, wanted, recipes, 40, 7)
    assert job is not None and wanted <= {event[:6] for event in events_of(job)}
    assert (
        directed_job(SPEC, {("pipelined", "stall", "nothing", "like", "it")}, recipes, 9, 7) is None
    )


def test_a_bin_that_is_never_reached_fails_the_command(tmp_path, monkeypatch, capsys):
    points = declared_points(SPEC) | {"sign": ["zero", "imaginary"]}
    monkeypatch.setattr(coverage, "declared_points", lambda spec: points)
    monkeypatch.setattr(coverage, "RANDOM_JOBS", 1)
    arguments = ["coverage", "--tokens", "1", "--build", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert coverage.main() == 1
    assert "MISSING sign: imaginary" in capsys.readouterr().out
    result = json.loads((tmp_path / "coverage" / "result.json").read_text())
    assert result["percent"] < 100 and "sign: imaginary" in result["missing"]
    assert result["bins"] == result["hits"] + len(result["missing"])
    assert result["unknown_after_reset"] == 0


def test_a_wrong_code_fails_the_command(monkeypatch):
    monkeypatch.setattr(coverage, "fault", lambda *_: "token 3: wrong output code")
    with pytest.raises(coverage.GaincellError, match="token 3: wrong output code"):
        coverage.close(SPEC, CoverageModel(declared_points(SPEC)), 1, 0)
