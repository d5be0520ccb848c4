import json

import pytest

from common.errors import GaincellError
from estimate.errors import EstimateError
from estimate.quantities import load_table, preset_path

TREE = {"cell": {"area_m2": {"value": 2e-12, "source": "a paper"}}}


def written(tmp_path, tree):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(tree))
    return path


def test_a_value_is_found_with_its_source(tmp_path):
    table = load_table(written(tmp_path, TREE))
    assert table["cell.area_m2"] == 2e-12 and table.quantities["cell.area_m2"].source == "a paper"
    assert "cell.area_m2" in table and "cell.other" not in table
    assert table.get("cell.other", 3) == 3
    with pytest.raises(EstimateError, match=r"^table has no quantity 'cell\.other'"):
        table["cell.other"]


@pytest.mark.parametrize("value", [0, -1, True, None, "1", float("inf")])
def test_what_is_no_positive_number_is_refused(tmp_path, value):
    tree = {"cell": {"area_m2": {"value": value, "source": "a paper"}}}
    with pytest.raises(GaincellError, match=r"table\.json: cell\.area_m2"):
        load_table(written(tmp_path, tree))


def test_a_number_without_a_source_is_refused(tmp_path):
    with pytest.raises(EstimateError, match="needs a source"):
        load_table(written(tmp_path, {"cell": {"area_m2": {"value": 1, "source": ""}}}))
    with pytest.raises(EstimateError, match="needs an object with value and source"):
        load_table(written(tmp_path, {"cell": {"area_m2": 1}}))


def test_a_changed_value_says_so(tmp_path):
    table = load_table(written(tmp_path, TREE))
    changed = table.with_values({"cell.area_m2": 3e-12})
    assert changed["cell.area_m2"] == 3e-12 and table["cell.area_m2"] == 2e-12
    assert changed.quantities["cell.area_m2"].source == "changed by the user"
    with pytest.raises(EstimateError, match="allowed above 0"):
        table.with_values({"cell.area_m2": 0})
    with pytest.raises(EstimateError, match="has no quantity"):
        table.with_values({"cell.aera_m2": 1})


@pytest.mark.parametrize("name", ["circuits", "published", "gpus", "engines"])
def test_every_shipped_quantity_has_a_source(name):
    table = load_table(preset_path(name))
    assert len(table) > 5 and all(len(q.source) > 3 for q in table.quantities.values())


def test_few_parameters_are_calibrated():
    calibrated = {
        name: q.calibrated_on
        for name, q in load_table(preset_path("circuits")).quantities.items()
        if q.calibrated_on
    }
    assert calibrated == {"cell.unit_charge_c": "energy of the first product"}
