"""Errors of many designs, kept and taken up again."""

import numpy as np
import pytest

from analog_models.spec import load_preset
from common.files import read_json
from estimate.sweep import run
from estimate.sweep.design import design_of, spec_of
from estimate.sweep.run import error_key, find_errors, identity_of
from estimate.sweep.signals import read_text

SPEC = load_preset()
HERE = design_of(SPEC)

ONE, TWO = "1" * 16, "2" * 16


@pytest.fixture(scope="module")
def text():
    return read_text(tokens=6)


@pytest.fixture(scope="module")
def wanted():
    designs = [HERE._replace(kv_levels=n) for n in range(3, 15)]
    return {error_key(design, 6): spec_of(SPEC, design) for design in designs}


def test_the_schedule_and_an_empty_part_of_the_window_decide_no_error():
    assert error_key(HERE, 128) == error_key(HERE._replace(schedule="pipelined", window=128), 128)
    for name in HERE._fields[1:]:
        changed = HERE._replace(**{name: 3})
        assert error_key(changed, 128) != error_key(HERE, 128), name


def test_a_run_that_breaks_goes_on_where_it_was(tmp_path, monkeypatch, text, wanted):
    whole = find_errors(SPEC, text, wanted, tmp_path / "whole.json", ONE, workers=1)
    computed, real = [], run.attention_error

    def breaking(spec, *args):
        if len(computed) == run.BATCH + 1:
            raise KeyboardInterrupt
        computed.append(spec)
        return real(spec, *args)

    path = tmp_path / "errors.json"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "attention_error", breaking)
        find_errors(SPEC, text, wanted, path, ONE, workers=1)
    assert len(read_json(path)["errors"]) == run.BATCH

    def counting(spec, *args):
        computed.append(spec)
        return real(spec, *args)

    computed.clear()
    monkeypatch.setattr(run, "attention_error", counting)
    assert find_errors(SPEC, text, wanted, path, ONE, workers=1) == whole
    assert len(computed) == len(wanted) - run.BATCH
    assert find_errors(SPEC, text, wanted, path, ONE, workers=1) == whole
    assert len(computed) == len(wanted) - run.BATCH
    find_errors(SPEC, text, wanted, path, TWO, workers=1)  # of something else
    assert len(computed) == 2 * len(wanted) - run.BATCH


@pytest.mark.parametrize("content", ["", "[]", '{"identity": "one"', '{"identity": "one"}'])
def test_a_file_that_is_none_of_ours_is_kept_and_written_anew(tmp_path, text, wanted, content):
    path = tmp_path / "errors.json"
    path.write_text(content)
    first = dict(list(wanted.items())[:1])
    assert set(find_errors(SPEC, text, first, path, ONE, workers=1)) == set(first)
    assert (tmp_path / "errors.damaged1.json").read_text() == content


def test_processes_find_what_one_finds(tmp_path, text, wanted):
    alone = find_errors(SPEC, text, wanted, tmp_path / "a.json", ONE, workers=1)
    assert find_errors(SPEC, text, wanted, tmp_path / "b.json", ONE, workers=2) == alone


def test_what_decides_errors_is_in_the_identity(text):
    here = identity_of(SPEC, text, 0)
    assert identity_of(SPEC.replace(schedules={"one": SPEC.schedule}), text, 0) == here
    assert identity_of(SPEC.replace(converter__a_sat=41.0), text, 0) != here
    assert identity_of(SPEC, text, 1) != here
    assert identity_of(SPEC, read_text(tokens=7), 0) != here
    assert np.isfinite(int(here, 16))
