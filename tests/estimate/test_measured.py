import json

import numpy as np
import pytest

from common.errors import ArtefactError
from common.files import write_json
from estimate.errors import EstimateError
from estimate.measure import FROM_COMPONENT, FROM_SYNTHESIS, collect
from estimate.measured import MEASURED, load_measured
from estimate.measured_file import SIGNALS


def test_what_ships_has_all_parts_with_their_origin(measured):
    assert set(measured.cycles) == set(measured.spec.schedules)
    assert set(measured.synthesis) == {"nangate45", "osu018"}
    for name in ("cycles", "activity", "nangate45", "osu018"):
        assert measured.sources[name]["git"]["commit"] and measured.sources[name]["time_utc"]
    for name, (lowest, highest) in measured.activity_range.items():
        assert 0 <= lowest <= measured.activity[name] <= highest, name


@pytest.fixture
def results(tmp_path, measured):
    """A build folder as `make measure` leaves it."""
    spec = measured.spec
    common = {"spec_hash": spec.hash, "git": {"commit": "c"}, "time_utc": "t"}
    rows = []
    for number, (name, schedule) in enumerate(spec.schedules.items()):
        accepted = np.arange(5) * schedule.period
        zeros = [0] * 5
        columns = {"query_only": zeros, "gap": zeros, "stall": zeros, "schedule": [number] * 5}
        finished = accepted + schedule.latency
        observed = {"accepted": accepted.tolist(), "finished": finished.tolist()}
        about = {"name": name, "spec": f"{spec.name}.json", "spec_hash": spec.hash}
        counts = {"heads": 1, "tokens": 5, "wall_s": 1.0}
        rows.append(about | counts | {"columns": columns, "observed": observed})
    write_json(tmp_path / "timing" / "result.json", common | {"workloads": rows})
    activity = {name: {"mean": 0.1, "lowest": 0.0, "highest": 0.2} for name in SIGNALS}
    write_json(tmp_path / "activity" / "result.json", common | {"activity": activity})
    for name, synthesis in measured.synthesis.items():
        result = {key: synthesis[key] for key in FROM_SYNTHESIS} | common
        result["components"] = [row | {"more": 1} for row in synthesis["components"]]
        write_json(tmp_path / f"synth-{name}" / "result.json", result)
    return tmp_path


def edit(path, change):
    tree = json.loads(path.read_text())
    change(tree)
    write_json(path, tree)


def test_results_are_collected(results, measured):
    tree = collect(results)
    assert tree["cycles"]["pipelined"] == {"latency": 58, "between": 21}
    assert tree["sources"]["osu018"] == {"git": {"commit": "c"}, "time_utc": "t"}
    assert set(tree["synthesis"]["osu018"]["components"][0]) == set(FROM_COMPONENT)
    path = write_json(results / "measured.json", tree)
    assert load_measured(path).activity == dict.fromkeys(SIGNALS, 0.1)


def test_results_of_another_specification_are_refused(results):
    edit(results / "activity" / "result.json", lambda t: t.update(spec_hash="beef"))
    with pytest.raises(EstimateError, match="of specification 'beef', not of leroux2025"):
        collect(results)


def test_a_missing_schedule_or_an_uneven_one_is_refused(results):
    path = results / "timing" / "result.json"
    edit(path, lambda t: t["workloads"][0]["observed"]["finished"].__setitem__(2, 7))
    with pytest.raises(EstimateError, match="not every token took as many cycles"):
        collect(results)
    edit(path, lambda t: t["workloads"].pop(0))
    with pytest.raises(EstimateError, match="no run of leroux2025"):
        collect(results)


def test_a_file_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "measured.json"
    with pytest.raises(ArtefactError, match="No such file"):
        load_measured(path)
    tree = json.loads(MEASURED.read_text())
    tree["spec"]["shape"]["geometry"]["subtiles"] = 8
    write_json(path, tree)
    with pytest.raises(EstimateError, match="measured on another leroux2025"):
        load_measured(path)
    del tree["spec"]
    write_json(path, tree)
    with pytest.raises(ArtefactError, match=r"measured\.json: spec: Field required"):
        load_measured(path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("activity.query_duty.mean", "x", "= 'x': Input should be a valid number"),
        ("activity.query_duty.mean", -5, "= -5: Input should be greater than or equal to 0"),
        ("activity", {}, "= {}: has no query_duty, query_pulses"),
        ("activity.query_duty.mean", float("nan"), "= NaN: needs a finite number"),
        ("cycles.leroux2025.latency", None, "= None: Input should be a valid integer"),
        ("cycles.leroux2025.latency", -65, "= -65: Input should be greater than 0"),
        ("synthesis", {}, "= {}: Dictionary should have at least 1 item"),
        ("synthesis.osu018.components", [], "has no datapath/pulse_counter"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(tmp_path, path, value, message):
    tree = json.loads(MEASURED.read_text())
    *groups, last = path.split(".")
    node = tree
    for group in groups:
        node = node[group]
    node[last] = value
    file = tmp_path / "measured.json"
    file.write_text(json.dumps(tree))
    with pytest.raises(ArtefactError) as error:
        load_measured(file)
    assert f"{path} " in str(error.value) and message in str(error.value)
