"""Rows of an evaluation."""

import pytest

from common.files import read_json
from ml.evaluate.table import NOTHING, Cost, Report, cost_of

RUN = {"tokens_seen": {"layerwise": 100, "linear": 20, "cubic": 3}}


def test_costs_add_up_over_the_stages_trained():
    assert cost_of(RUN, "linear", ("layerwise", "linear")) == Cost(120, None)
    seconds = {"seconds": {"layerwise": 1.5, "linear": 2.0}}
    assert cost_of(RUN | seconds, "linear", ("layerwise", "linear")) == Cost(120, 3.5)


def test_what_a_record_does_not_say_is_not_invented():
    assert cost_of({}, "cubic", ("layerwise",)) == Cost(None, None)
    assert cost_of(RUN, "statistics") == Cost(None, None)
    assert cost_of(RUN | {"seconds": {"layerwise": 1.5}}, "linear", ("layerwise", "linear")) == (
        Cost(120, None)
    )


def test_rows_and_totals_of_a_record_are_taken_as_they_are():
    rows = [{"stage": "linear", "tokens_used": 7, "wall_time_s": 8.0}]
    assert cost_of({"rows": rows}, "linear") == Cost(7, 8.0)
    assert cost_of({"tokens_used": 9, "wall_time_s": 1.0}, "cubic") == Cost(9, 1.0)
    assert cost_of({"tokens_used": 9}, "cubic") == Cost(9, None)


def test_ratios_are_to_the_teacher_of_the_same_model(tmp_path, capsys):
    report = Report()
    for model, base in (("a", 10.0), ("b", 20.0)):
        report.begin(model, tokens=1000, context=10)
        report.add(model, "teacher", base, NOTHING)
        report.add(model, "cubic", 30.0, Cost(5, None))
        report.missing("linear")
    result = read_json(report.write(tmp_path / "result.json", ("torch",), preset="p"))
    assert [row["ratio_to_teacher"] for row in result["rows"]] == [1.0, 3.0, 1.0, 1.5]
    assert result["rows"][1] == {
        "model": "a",
        "preset": "leroux2025",
        "stage": "cubic",
        "text": "heldout",
        "perplexity": 30.0,
        "ratio_to_teacher": 3.0,
        "tokens_used": 5,
        "wall_time_s": None,
    }
    assert result["preset"] == "p" and result["packages"].keys() == {"torch"}
    assert result["models"]["a"] == {"tokens": 1000, "context": 10}
    printed = capsys.readouterr().out
    assert printed.count("no file") == 2
    assert printed.splitlines()[4].split()[:5] == ["cubic", "30.00", "3.000", "5", "-"]


def test_ratios_are_to_the_teacher_on_the_same_text(capsys):
    report = Report()
    report.begin("a", tokens=20, context=10, texts={"faq": {}, "essay": {}})
    for text, base in (("faq", 10.0), ("essay", 20.0)):
        report.add("a", "teacher", base, NOTHING, text=text)
    for text in ("faq", "essay"):
        report.add("a", "cubic", 30.0, NOTHING, text=text)
    assert [row.ratio_to_teacher for row in report.rows] == [1.0, 1.0, 3.0, 1.5]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "a, 20 tokens of faq, essay in texts of 10"
    assert lines[-1].split()[:4] == ["cubic", "essay", "30.00", "1.500"]


def test_a_report_that_cannot_be_json_is_refused(tmp_path):
    report = Report()
    report.begin("a", tokens=1, context=1)
    report.add("a", "teacher", float("nan"), NOTHING)
    with pytest.raises(ValueError, match="not JSON compliant"):
        report.write(tmp_path / "result.json", ())
