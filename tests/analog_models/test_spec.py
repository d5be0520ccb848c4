import json

import pytest

from analog_models.errors import SpecError
from analog_models.spec import load_preset, load_spec, preset_names


@pytest.fixture
def spec():
    return load_preset("leroux2025")


def test_the_published_head(spec):
    assert spec.geometry.window == 1024
    assert spec.schedule.latency == 65
    assert spec.out_max == 240
    expected = (0.52136361, 13.61226063, -2.62044562, 46.05483778)
    assert spec.cell.polynomial == pytest.approx(expected, abs=1e-8)


def test_every_shipped_value_has_a_source():
    for name in preset_names():
        tree = load_preset(name).to_tree()
        del tree["name"]
        groups = [*tree.pop("schedules").values(), *tree.values()]
        for group in groups:
            assert all(quantity["source"] for quantity in group.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"geometry__head_dim": 0}, "geometry.head_dim = 0: Input should be greater than 0"),
        (
            {"geometry__subtiles": 1025},
            "geometry.subtile * geometry.subtiles = 65600: allowed 2 to",
        ),
        ({"levels__q": 2.5}, "levels.q = 2.5: Input should be a valid integer"),
        ({"cell__v_zero_v": float("nan")}, "cell.v_zero_v = nan: Input should be a finite number"),
        ({"cell__v_zero_v": 1.0}, "cell.v_zero_v = 1.0: allowed 0 to 0.9, the supply"),
        ({"geometry__head_dim": 65}, "geometry.head_dim = 65: does not fill 2 arrays of"),
        (
            {"leakage__convention": "none"},
            "leakage.convention = 'none': Input should be 'per_power'",
        ),
        ({"cell__transfer": ()}, "cell.transfer = (): needs 1 to 8 rows"),
        ({"grid__charge_bits": 30}, "grid.charge_bits = 30: allowed 8 to 23, to stay exact"),
        ({"geometry__rows": 3}, "specification has no field geometry.rows"),
        ({"rows": 3}, "specification has no field rows"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(spec, changes, message):
    with pytest.raises(SpecError) as error:
        spec.replace(**changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_saves_and_loads_with_units_and_sources(spec, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(spec.to_tree()))
    loaded = load_spec(path)
    assert loaded == spec and loaded.to_tree() == spec.to_tree()
    assert spec.to_tree()["clock"]["t_clk_ps"]["unit"] == "ps"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda t: t["schedules"]["overlapped"]["score"].update(unit="ns"),
            "schedules.overlapped.score: unit is 'ns', needs 'cycles'",
        ),
        (lambda t: t["clock"].update(t_clk_ps=15), "needs an object with value, unit and source"),
        (
            lambda t: t["schedules"]["pipelined"].pop("score"),
            "schedules.pipelined.score: Field required",
        ),
        (lambda t: t["schedules"].clear(), "schedules = {}: Dictionary should have at least 1"),
        (lambda t: t.update(noise={}), "noise = {}: Extra inputs are not permitted"),
        (lambda t: t.update(name="Ü"), "name = 'Ü': String should match pattern"),
    ],
)
def test_a_bad_file_is_named(spec, tmp_path, edit, message):
    tree = spec.to_tree()
    edit(tree)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(SpecError) as error:
        load_spec(path)
    assert str(path) in str(error.value) and message in str(error.value)


def test_a_missing_or_broken_file_is_an_error(tmp_path):
    with pytest.raises(SpecError, match="No such file"):
        load_spec(tmp_path / "absent.json")
    (tmp_path / "cut.json").write_text('{"name": "le')
    with pytest.raises(SpecError, match="not JSON"):
        load_spec(tmp_path / "cut.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"binary.json: not UTF-8 text"):
        load_spec(tmp_path / "binary.json")
    with pytest.raises(SpecError, match="no preset 'absent': there are leroux2025"):
        load_preset("absent")


def test_the_hash_is_that_of_the_values(spec):
    renamed = spec.replace(name="other")
    assert renamed.hash == spec.hash
    assert spec.linearised().hash != spec.hash
    assert spec.linearised().codes_hash != spec.codes_hash


def test_a_schedule_changes_the_hash_but_not_that_of_the_codes(spec):
    slower = spec.replace(schedules__overlapped__period=53)
    turned = spec.replace(schedules=dict(reversed(spec.schedules.items())))
    assert len({spec.hash, slower.hash, turned.hash}) == 3
    assert spec.codes_hash == slower.codes_hash == turned.codes_hash


def test_shifting_the_asymptote_keeps_the_transfer(spec):
    shifted = spec.replace(leakage__asymptote_v=0.2)
    for v in (0.0, 0.3, 0.9):
        at_zero = sum(c * (v - 0.45) ** i for i, c in enumerate(spec.cell.polynomial))
        at_asymptote = sum(c * (v - 0.2) ** i for i, c in enumerate(shifted.cell_polynomial))
        assert at_asymptote == pytest.approx(at_zero, abs=1e-12)
