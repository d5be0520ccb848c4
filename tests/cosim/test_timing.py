import os
import subprocess
import sys

import pytest

from common.files import read_json
from cosim import timing
from cosim.closure.stimulus import closure_spec, random_job
from estimate.timing_file import TimedRun
from estimate.validate import compare


def test_a_row_holds_all_that_a_virtual_model_needs(tmp_path):
    job = random_job(closure_spec(), 40, 77)
    row = timing.head_row(closure_spec(), "some", job, tmp_path)
    assert row["tokens"] == len(row["observed"]["accepted"]) == 40 and row["wall_s"] > 0
    found = compare(TimedRun.of(row, "row"), tmp_path / "result.json")
    assert found["accuracy"] == 1 and found["tokens_off"] == 0


@pytest.mark.slow
def test_the_virtual_model_is_validated_on_all_workloads(build):
    def command(*arguments):
        options = ["-m", *map(str, arguments), "--build", str(build)]
        command = [sys.executable, *options]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ)

    done = command("cosim.timing", "--tokens", 40)
    assert done.returncode == 0, done.stdout + done.stderr
    done = command("estimate.validate")
    assert done.returncode == 0, done.stdout + done.stderr
    result = read_json(build / "estimate" / "validation.json")
    assert result["accuracy"] >= 0.99 and result["times_faster_full_size"] >= 1000
    assert len(result["rows"]) == 13
