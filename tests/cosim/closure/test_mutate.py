"""Mutants are made, known faults are found, and an interrupted run goes on."""

import argparse
import json
import re
import tempfile
import threading

import pytest

from common.errors import GaincellError
from cosim.closure import mutate
from cosim.closure.mutate import CHECKS, examine, report, try_all
from cosim.closure.stimulus import closure_spec
from hdl.mutants import ORIGINAL, equal_to_original, list_mutations, mutants

SPEC = closure_spec()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mutate")


@pytest.fixture(scope="module")
def drawn(folder):
    return list_mutations(SPEC, 60, 1, folder)


@pytest.fixture
def first_check(monkeypatch):
    monkeypatch.setattr(mutate, "CHECKS", CHECKS[:1])


def test_mutations_are_drawn_from_all_components_with_a_seed(drawn, folder):
    components = {mutation.component for mutation in drawn}
    assert {"control.sequencer", "control.window", "datapath.pulse_counter"} <= components
    assert len({mutation.arguments for mutation in drawn}) == 60
    assert list_mutations(SPEC, 60, 1, folder) == drawn
    assert list_mutations(SPEC, 60, 2, folder) != drawn


def test_a_mutant_differs_in_one_place_and_no_register_has_an_initial_value(drawn, folder):
    original, one, other = mutants([ORIGINAL, *drawn[:2]], folder)
    assert one != original != other != one
    assert not re.search(r"^ *reg .* = ", original, re.MULTILINE)
    assert not list(folder.glob("mutant_*.v"))


def fault_at(module, cell, port, mode):
    where = f"-module attention_head{module} -cell {cell} -port {port} -portbit 0"
    return ORIGINAL._replace(arguments=f"-mode {mode} {where}")


def test_the_original_passes_and_faults_are_found(folder, first_check):
    wrong_slot = fault_at(".control", "window", "slot", "const0")
    silent = fault_at("", "control", "result_valid", "const0")
    right, wrong, stuck = mutants([ORIGINAL, wrong_slot, silent], folder)
    assert examine(SPEC, right, folder) == ""
    assert examine(SPEC, wrong, folder).startswith("token ")
    assert "no result within" in examine(SPEC, stuck, folder)


def test_a_fault_of_the_pins_is_found_that_no_code_shows(folder, first_check):
    always = fault_at("", "control", "active__reset_v", "const1")
    (text,) = mutants([always], folder)
    assert "a V capacitor is discharged while it is in use" in examine(SPEC, text, folder)


def test_equality_is_proved_where_nothing_depends_on_a_bit(drawn, folder):
    assert equal_to_original(ORIGINAL._replace(arguments="-mode none"), folder)
    inverted = next(m for m in drawn if m.mode == "inv" and m.component == "datapath.pulse_counter")
    assert not equal_to_original(inverted, folder)


def test_an_interrupted_run_goes_on_where_it_was(drawn, folder, monkeypatch):
    seen = folder / "seen"
    seen.mkdir()
    monkeypatch.setattr(mutate, "examine", _Noted(str(seen)))
    first = try_all(SPEC, drawn[:4], folder, 2)
    assert first == {m.arguments: "seen" for m in drawn[:4]} and len([*seen.iterdir()]) == 4
    assert len(try_all(SPEC, drawn[:6], folder, 2)) == 6
    assert len([*seen.iterdir()]) == 6
    (folder / "state.json").write_text(json.dumps({"identity": "another", "verdicts": first}))
    assert len(try_all(SPEC, drawn[:2], folder, 1)) == 2
    assert len([*seen.iterdir()]) == 8


class _Noted:
    """Stands in for `examine`: passes the original, kills the rest and counts them in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, spec, text, folder):
        if threading.current_thread() is threading.main_thread():  # only the original
            return ""
        tempfile.mkstemp(dir=self.folder)
        return "seen"


def test_an_original_that_fails_is_no_measure(drawn, folder, monkeypatch):
    monkeypatch.setattr(mutate, "examine", lambda *_: "token 1: wrong count")
    (folder / "state.json").unlink(missing_ok=True)
    with pytest.raises(GaincellError, match="the original does not pass: token 1: wrong count"):
        try_all(SPEC, drawn[:1], folder, 1)


@pytest.mark.parametrize(("killed", "status"), [(9, 0), (8, 1)])
def test_the_score_decides(drawn, tmp_path, killed, status, capsys):
    ten = drawn[:10]
    verdicts = {m.arguments: "wrong" if i < killed else "" for i, m in enumerate(ten)}
    args = argparse.Namespace(seed=1, build=tmp_path)
    assert report(SPEC, ten, verdicts, set(), args) == status
    result = json.loads((tmp_path / "mutate" / "result.json").read_text())
    assert result["score"] == killed / 10 and len(result["survivors"]) == 10 - killed
    assert f"score: {killed}0.0%" in capsys.readouterr().out
