"""One report with everything in it, of a build folder in which checks were run."""

import contextlib
import io
import sys
from pathlib import Path
from unittest import mock

import pytest

from analog_models.spec import load_preset
from common.files import read_json, write_json
from estimate.report.__main__ import main


def check(spec_hash, mismatches=0, **more):
    """What `make sim` writes."""
    run = {
        "name": "passage: 2 heads x 8 tokens",
        "schedule": "leroux2025",
        "head_tokens": 16,
        "mismatches": mismatches,
        "cycles_per_token": 65.0,
        "cycles_between_tokens": 65.0,
        "max_gap_cycles": 0,
        "max_stall_cycles": 40,
    }
    return {
        "spec_hash": spec_hash,
        "head_tokens": 16,
        "mismatches": mismatches,
        "simulator": "icarus 11.0",
        "seed": 17,
        "runs": [run],
        **more,
    }


def validation():
    """What `make validate` writes."""
    row = {"name": "gaps <b>&amp;</b>", "tokens": 60, "cycles": 4321, "predicted_cycles": 4321}
    return {
        "accuracy": 1.0,
        "tokens": 60,
        "tokens_off": 0,
        "times_faster_full_size": 1234.5,
        "published_accuracy": 0.92,
        "rows": [row | {"accuracy": 1.0, "tokens_off": 0}],
    }


def run_report(build, *arguments):
    """Status and output of the command."""
    words = ["report", "--build", str(build), *map(str, arguments)]
    with mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(io.StringIO()) as out:
        return main(), out.getvalue()


@pytest.fixture(scope="session")
def build(tmp_path_factory) -> Path:
    """A build folder with checks and the report of them."""
    folder = tmp_path_factory.mktemp("build")
    spec_hash = load_preset().hash
    write_json(folder / "verify" / "result.json", check(spec_hash, numpy_mismatches=0))
    write_json(folder / "sim" / "run.json", check(spec_hash))
    write_json(folder / "estimate" / "validation.json", validation())
    assert run_report(folder)[0] == 0
    return folder


@pytest.fixture(scope="session")
def page(build) -> Path:
    return build / "report" / "index.html"


@pytest.fixture(scope="session")
def result(build):
    return read_json(build / "report" / "result.json")
