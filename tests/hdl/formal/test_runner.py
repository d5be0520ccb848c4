from dataclasses import replace

import pytest

from hdl.formal.catalogue import PROPERTIES
from hdl.formal.runner import check, check_all

(GATE,) = (item for item in PROPERTIES if item.name == "gate-passes-valid-only")
HARMLESS = replace(GATE.broken, new=GATE.broken.old, breaks="nothing at all")


def test_a_variant_that_is_not_caught_is_a_fault(tmp_path):
    verdict = check(replace(GATE, broken=HARMLESS), tmp_path)
    assert verdict.proved and not verdict.caught
    expected = "gate-passes-valid-only: its broken variant (nothing at all) is not caught"
    assert verdict.fault == expected


def test_a_component_that_violates_its_property_is_a_fault(tmp_path):
    def never(design, spec):
        watch = GATE.watch(design, spec)
        watch.always(watch.dut.row == 0, "no pulse ever")
        return watch

    verdict = check(replace(GATE, watch=never), tmp_path)
    assert not verdict.proved
    trace = tmp_path / GATE.name / "real" / "monitor" / "engine_0" / "trace.vcd"
    assert verdict.fault.startswith("gate-passes-valid-only: does not hold at ")
    assert verdict.fault.endswith(f"; trace {trace}")
    assert trace.exists()


def test_a_lemma_does_not_catch_a_broken_variant(tmp_path):
    def with_lemma(design, spec):
        watch = GATE.watch(design, spec)
        watch.lemma(watch.dut.row == 0, "false")
        return watch

    verdict = check(replace(GATE, watch=with_lemma, broken=HARMLESS), tmp_path)
    assert not verdict.proved and not verdict.caught


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_verdicts_come(tmp_path, jobs):
    other = replace(GATE, name="other")
    names = {verdict.item.name for verdict in check_all([GATE, other], tmp_path, jobs)}
    assert names == {GATE.name, "other"}
