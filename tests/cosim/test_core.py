"""A core of several heads, driven over AXI4-Lite and AXI-Stream by a bus library."""

import json
from typing import Any

import numpy as np
import pytest

from analog_models.head import GoldenHead
from common.errors import CodeError
from cosim.core import simulate_core
from cosim.run.core_job import CoreJob, Fault
from hdl.registers import ERRORS
from tests.cosim.conftest import small_spec
from tests.cosim.test_commands import command

HEADS, WINDOW_LENGTH = 3, 10
SPEC = small_spec()


def random_job(tokens, seed, **options: Any):
    rng = np.random.default_rng(seed)
    shape = (tokens, HEADS, SPEC.geometry.head_dim)
    q, k, v = (rng.integers(0, n, shape, dtype=np.uint8) for n in (16, 8, 8))
    flush = (rng.random(tokens) < 0.1).astype(np.uint8)
    query_only = (rng.random(tokens) < 0.3).astype(np.uint8)
    settings: Any = {"schedule": 0, "window_length": WINDOW_LENGTH} | options
    return CoreJob(q, k, v, flush, query_only, seed=seed, **settings)


def expected(job):
    """Output codes [beat, d] of golden heads, and how many pulses reach the largest count."""
    out = np.zeros((job.tokens, HEADS, SPEC.geometry.head_dim), dtype=np.int16)
    full = 0
    for number in range(HEADS):
        head = GoldenHead(SPEC, job.length(SPEC))
        for token, (flush, query_only) in enumerate(zip(job.flush, job.query_only, strict=True)):
            q, k, v = (codes[token, number] for codes in (job.q, job.k, job.v))
            if flush and not query_only:
                head.flush(job.length(SPEC))
            trace = head.query(q) if query_only else head.step(q, k, v)
            out[token, number] = trace.out
            full += int((np.abs(trace.counts) == SPEC.levels.count_max).sum())
    return out.reshape(-1, SPEC.geometry.head_dim), full


@pytest.mark.parametrize("schedule", range(3))
@pytest.mark.parametrize("pauses", [False, True])
def test_the_core_gives_the_codes_of_its_heads(schedule, pauses):
    job = random_job(25, schedule, schedule=schedule, pauses=pauses)
    outcome = simulate_core(SPEC, job)
    out, full = expected(job)
    assert np.array_equal(outcome.out, out)
    registers = outcome.registers
    assert registers["tokens"] == int((job.query_only == 0).sum())
    assert registers["queries"] == int(job.query_only.sum())
    assert registers["saturated_pulses"] == full > 0
    assert registers["errors"] == registers["error_pin"] == registers["status"] & 0b11 == 0
    if schedule == 2 and not pauses:
        assert set(np.diff(outcome.cycles[::HEADS])) == {21} and not registers["stall_cycles"]
    # A query that starts where tokens wait does so until the beats before have been taken.
    assert (registers["stall_cycles"] > 0) == (pauses or schedule != 2)


@pytest.mark.parametrize(
    ("schedule", "window_length"), [(5, 2049), (1 << 8 | 2, 1 << 31 | 3), (0xFFFF_FFFF, 0)]
)
def test_a_setting_out_of_range_is_the_first_schedule_or_the_whole_window(schedule, window_length):
    job = random_job(SPEC.geometry.window + 5, 7, schedule=schedule, window_length=window_length)
    job.flush[:] = job.query_only[:] = 0
    outcome = simulate_core(SPEC, job)
    assert job.length(SPEC) == SPEC.geometry.window
    assert np.array_equal(outcome.out, expected(job)[0])
    first = next(iter(SPEC.schedules.values()))
    assert set(np.diff(outcome.cycles[::HEADS])) == {first.period}
    registers = outcome.registers
    assert (registers["schedule"], registers["window_length"]) == (schedule, window_length)
    assert registers["status"] >> 8 == 0


@pytest.mark.parametrize("schedule", range(3))
@pytest.mark.parametrize(
    ("kind", "flag"),
    [("phi_stuck", "phi_late"), ("out_stuck", "out_late"), ("sign_turned", "sign_changed")],
)
def test_a_fault_of_a_converter_is_flagged_with_slot_and_head(schedule, kind, flag):
    job = random_job(8, 4, schedule=schedule, faults=(Fault(kind, head=1, query=5),))
    job.flush[:] = job.query_only[:] = 0
    registers = simulate_core(SPEC, job).registers
    assert registers["errors"] >> ERRORS.index(flag) & 1 and registers["error_pin"]
    assert (registers["error_slot"], registers["error_heads"]) == (5, 0b010)


def test_the_command_replays_golden_vectors_of_the_full_head(tmp_path):
    arguments = ("--heads", 2, "--tokens", 3, "--schedule", "pipelined", "--build", tmp_path)
    done = command("core", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "core" / "result.json").read_text())
    assert (result["head_tokens"], result["mismatches"]) == (6, 0)
    assert result["cycles_between_tokens"] == 21 and result["registers"]["tokens"] == 3


def test_codes_out_of_range_never_reach_the_simulator():
    job = random_job(3, 0)
    job.k[2, 1, 0] = 8
    with pytest.raises(CodeError, match=r"k\[2, 1, 0\] = 8: allowed whole numbers 0 to 7"):
        simulate_core(SPEC, job)
    job = random_job(3, 0)
    job.query_only[1] = 2
    with pytest.raises(CodeError, match=r"query_only\[1\] = 2: allowed whole numbers 0 to 1"):
        simulate_core(SPEC, job)
    for name, value in (("schedule", -1), ("window_length", 1 << 32)):
        message = f"{name} = {value}: a register takes 0 to 4294967295"
        with pytest.raises(CodeError, match=message):
            simulate_core(SPEC, random_job(3, 0, **{name: value}))
