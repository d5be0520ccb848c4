"""What is read from other commands' files, and what is not."""

import pytest

from analog_models.spec import load_preset
from common.errors import ArtefactError
from common.files import write_json, write_text
from estimate.report.sources import find_sources
from estimate.report.tables_beside import perplexity_rows
from tests.estimate.report.conftest import check


@pytest.fixture
def spec():
    return load_preset()


def test_without_a_build_folder_the_records_do(spec, tmp_path):
    found = find_sources(spec, tmp_path)
    states = {name: source.state for name, source in found.items()}
    assert states["record"] == states["sensitivity"] == "shipped"
    assert {states[name] for name in ("verify", "sim", "validation", "evaluation")} == {"not run"}
    assert found["verify"].note == "make verify has not been run here"


def test_a_result_comes_before_the_record(spec, tmp_path):
    own = {"codes_hash": spec.codes_hash, "rows": [], "ideal_perplexity": 7.0, "texts": 1}
    write_json(tmp_path / "sensitivity" / "result.json", own | {"tokens": 9})
    found = find_sources(spec, tmp_path)["sensitivity"]
    assert found.state == "measured here" and found.result is not None
    assert found.result["ideal_perplexity"] == 7


def test_a_result_of_another_specification_is_passed_over(spec, tmp_path):
    write_json(tmp_path / "verify" / "result.json", check("0123456789abcdef"))
    found = find_sources(spec, tmp_path)["verify"]
    assert found.result is None
    assert found.note == f"verify/result.json is of spec hash '0123456789abcdef', not {spec.hash}"


def test_the_shipped_model_says_nothing_about_other_codes(spec, tmp_path):
    other = spec.replace(geometry__subtiles=8)
    found = find_sources(other, tmp_path)
    assert found["record"].result is None and found["sensitivity"].result is None
    assert spec.codes_hash in found["record"].note


def test_an_old_result_is_named(spec, tmp_path):
    old = check(spec.hash)
    del old["runs"]
    write_json(tmp_path / "sim" / "run.json", old)
    note = find_sources(spec, tmp_path)["sim"].note
    assert note == "sim/run.json: runs: Field required: run make sim again"


def test_a_broken_file_is_an_error(spec, tmp_path):
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / "run.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"run\.json: not JSON"):
        find_sources(spec, tmp_path)


@pytest.mark.parametrize("content", ['{"runs": [NaN]}', '{"runs": [-1e999]}'])
def test_a_number_that_is_not_finite_is_an_error(spec, tmp_path, content):
    write_text(tmp_path / "sim" / "run.json", content)
    with pytest.raises(ArtefactError, match=r"run\.json: runs\[0\] = .*: needs a finite number"):
        find_sources(spec, tmp_path)


def test_a_file_of_something_else_is_passed_over(spec, tmp_path):
    write_text(tmp_path / "sim" / "run.json", "null")
    note = find_sources(spec, tmp_path)["sim"].note
    assert note == "sim/run.json: needs an object, has NoneType: run make sim again"


@pytest.mark.parametrize(
    ("field", "value"), [("name", None), ("mismatches", -1), ("cycles_per_token", "65")]
)
def test_a_run_that_is_not_as_written_is_passed_over(spec, tmp_path, field, value):
    changed = check(spec.hash)
    changed["runs"][0][field] = value
    write_json(tmp_path / "sim" / "run.json", changed)
    found = find_sources(spec, tmp_path)["sim"]
    assert found.result is None and f"runs.0.{field} = {value!r}: Input should" in found.note


def test_the_records_are_of_one_model(spec, tmp_path):
    found = find_sources(spec, tmp_path)
    record, sensitivity = found["record"].result, found["sensitivity"].result
    assert record is not None and sensitivity is not None
    file = f"{sensitivity['adapted']['file']}/model.safetensors"
    assert record["sha256"][file] == sensitivity["adapted"]["sha256"]


def test_only_held_out_text_is_shown_of_an_evaluation(spec, tmp_path):
    """Rows of older results name no text, and those on one's own text are about something else."""
    model = {"model": "SmolLM2-135M", "ratio_to_teacher": 1.0}
    rows = [
        model | {"stage": "teacher", "perplexity": 30.0},
        model | {"stage": "linear", "perplexity": 31.0, "text": "heldout"},
        model | {"stage": "linear", "perplexity": 90.0, "text": "faq"},
    ]
    result = {"codes_hash": spec.codes_hash, "rows": rows, "models": {}}
    write_json(tmp_path / "eval" / "result.json", result)
    shown = perplexity_rows(find_sources(spec, tmp_path))
    assert [row["perplexity"] for row in shown if row["from"] == "make eval, here"] == [30.0, 31.0]
    assert any(row["from"] == "model card, shipped" for row in shown)
