"""The log that a killed run leaves, and what is drawn from it."""

import json

import pytest

from common.errors import ArtefactError
from ml.adapt.journal import Journal, note, read_log
from ml.adapt.plots import curves, main


def journal(folder, step: int) -> Journal:
    return Journal(folder, "linear", 10, step, 100, silent=False)


def test_steps_that_come_again_are_logged_once(tmp_path):
    with journal(tmp_path, 0) as first:
        for step in range(1, 5):
            first.report({"step": step, "train_loss": 1.0 / step})
    note(tmp_path, "init", {"perplexity": 3.0})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"half')
    with journal(tmp_path, 2) as again:
        again.report({"step": 3, "train_loss": 9.0})
    records = read_log(tmp_path)
    assert [(r["stage"], r.get("step"), r.get("tokens")) for r in records] == [
        ("linear", 1, 100),
        ("linear", 2, 200),
        ("init", None, None),
        ("linear", 3, 300),
    ]
    assert records[-1]["train_loss"] == 9.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", r"\[\] is no record of a stage$"),
        ('{"stage": 3}', "{'stage': 3} is no record of a stage$"),
        ('{"stage": "init", "loss": NaN}', "loss = NaN: needs a finite number"),
    ],
)
def test_a_line_that_is_no_record_is_refused(line, message, tmp_path):
    (tmp_path / "log.jsonl").write_text(f'{{"stage": "init"}}\n{line}\n{{"ha')
    with pytest.raises(ArtefactError, match=rf"log\.jsonl: line 2: {message}"):
        read_log(tmp_path)


def test_a_stage_has_one_note(tmp_path):
    for value in (1.0, 2.0):
        note(tmp_path, "init", {"perplexity": value})
    assert read_log(tmp_path) == [{"stage": "init", "perplexity": 2.0}]


def test_a_silent_journal_writes_nothing(tmp_path):
    with Journal(tmp_path, "linear", 10, 0, 100, silent=True) as silent:
        silent.report({"step": 1, "train_loss": 1.0})
    assert not list(tmp_path.iterdir())


def test_curves_of_stages_follow_each_other():
    records = [
        {"stage": stage, "step": step, "tokens": 10 * step, "train_loss": float(step)}
        for stage in ("layerwise", "linear")
        for step in (1, 2)
    ]
    assert curves(records, "train_loss") == [
        ("layerwise", [10, 20], [1.0, 2.0]),
        ("linear", [30, 40], [1.0, 2.0]),
    ]
    assert curves(records, "validation_loss") == []


def test_plots_can_be_had_at_any_time(tmp_path, capsys):
    records = [
        {"stage": "teacher", "perplexity": 2.0},
        {"stage": "layerwise", "step": 0, "tokens": 0, "validation_loss": 2.0},
        {"stage": "layerwise", "step": 1, "tokens": 9, "train_loss": 0.5},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    main([str(tmp_path)])
    assert capsys.readouterr().out.count("wrote") == 3
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_no_log_is_named(tmp_path):
    with pytest.raises(ArtefactError, match=r"log\.jsonl: no such file"):
        main([str(tmp_path)])
