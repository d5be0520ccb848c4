import numpy as np
import pytest

from analog_models.spec import load_preset
from analog_models.timing import predict
from analog_models.workload import Workload
from common.files import write_json
from estimate.errors import EstimateError
from estimate.validate import PUBLISHED_ACCURACY, validate
from tests.estimate.si import approx


def row(heads, late=0):
    """A co-simulation that took `late` cycles more than is predicted, from an edge of its own."""
    workload = Workload.of(20, 2)
    timing = predict(load_preset(), workload.in_core(heads) if heads > 1 else workload)
    edges = {"accepted": timing.accepted, "finished": timing.finished}
    observed = {"taken": timing.taken} if heads > 1 else edges
    last = {name: [*map(int, e[:-1] + 17), int(e[-1]) + 17 + late] for name, e in observed.items()}
    columns = {name: np.asarray(c, dtype=int).tolist() for name, c in vars(workload).items()}
    common = {"name": f"{heads} heads", "spec": "spec.json", "heads": heads, "tokens": 20}
    common["spec_hash"] = load_preset().hash
    return common | {"columns": columns, "observed": last, "wall_s": 1.0}


@pytest.fixture
def found(tmp_path):
    write_json(tmp_path / "spec.json", load_preset().to_tree())

    def write(*rows):
        tree = {"workloads": rows, "simulator": "some 1.0", "git": {}, "time_utc": "t"}
        return write_json(tmp_path / "result.json", tree)

    return write


def test_equal_edges_are_fully_accurate(found):
    result = validate(found(row(1), row(3)))
    assert result["accuracy"] == 1 > PUBLISHED_ACCURACY and result["tokens_off"] == 0
    assert result["tokens"] == 40 and result["times_faster_full_size"] > 1
    assert [r["times_faster"] is None for r in result["rows"]] == [False, True]


@pytest.mark.parametrize("heads", [1, 3])
def test_a_late_token_is_counted(found, heads):
    result = validate(found(row(1), row(heads, late=40)))
    assert result["tokens_off"] == 1
    worst = result["rows"][1]
    assert worst["accuracy"] == approx(1 - 40 / worst["cycles"]) == result["accuracy"]


def test_edges_of_other_tokens_are_refused(found):
    short = row(1)
    short["observed"]["finished"].pop()
    with pytest.raises(EstimateError, match="observed edges do not fit the workload"):
        validate(found(short))


@pytest.mark.parametrize("content", ["[]", "{}", '{"workloads": []}'])
def test_a_file_without_workloads_is_refused(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(EstimateError, match=r"result\.json: .*; run `make validate`"):
        validate(path)
