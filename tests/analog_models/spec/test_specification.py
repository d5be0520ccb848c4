import json

import pytest

from analog_models.spec import (
    find_spec,
    load_preset,
    load_spec,
    overlaid,
    overlay_names,
    preset_names,
)
from common.errors import SpecError


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
    presets = [load_preset(name) for name in preset_names()]
    overlays = [overlaid(preset, name) for preset in presets for name in overlay_names()]
    assert len(overlays) >= 1
    for shipped in (*presets, *overlays):
        tree = shipped.to_tree()
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


def at(*path, value):
    """An edit that sets one value of a preset's tree."""

    def edit(tree):
        *groups, last = path
        for group in groups:
            tree = tree[group]
        tree[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            at("levels", "q", "value", value=True),
            "levels.q = True: Input should be a valid integer",
        ),
        (
            at("levels", "q", "value", value="16"),
            "levels.q = '16': Input should be a valid integer",
        ),
        (
            at("levels", "q", "value", value=16.0),
            "levels.q = 16.0: Input should be a valid integer",
        ),
        (
            at("levels", "q", "value", value=None),
            "levels.q = None: Input should be a valid integer",
        ),
        (
            at("levels", "q", "value", value=[16]),
            "levels.q = [16]: Input should be a valid integer",
        ),
        (
            at("cell", "v_zero_v", "value", value="0.45"),
            "cell.v_zero_v = '0.45': Input should be a valid number",
        ),
        (
            at("cell", "v_zero_v", "value", value=False),
            "cell.v_zero_v = False: Input should be a valid number",
        ),
        (
            at("cell", "transfer", "value", value=[[0.1], ["0.2"]]),
            "cell.transfer.1.0 = '0.2': Input should be a valid number",
        ),
        (
            at("cell", "transfer", "value", value=[[1.0] * 9]),
            "needs 1 to 8 rows of 1 to 8 coefficients each",
        ),
        (at("cell", "linear_gain", "value", value=1e300), "linear_gain = 1e+300: Input should be"),
        (at("converter", "a_sat", "value", value=5e-324), "converter.a_sat = 5e-324: Input should"),
        (
            at("schedules", "overlapped", "capacitors", "value", value=True),
            "schedules.overlapped.capacitors = True: Input should be a valid integer",
        ),
        (
            at("schedules", "overlapped", "score", "value", value=[5, 20, 25]),
            "schedules.overlapped.score = [5, 20, 25]: Tuple should have at most 2 items",
        ),
        (
            at("imperfections", "leakage_doubling_k", "value", value=1e-300),
            "leakage_doubling_k = 1e-300: Input should be greater than or equal to 1",
        ),
        (at("levels", "q", "unit", value=None), "levels.q: unit is None, needs 'levels'"),
        (at("levels", "q", "source", value=7), "levels.q: source is 7, needs text"),
        (
            at("levels", "q", "valeu", value=7),
            "levels.q: has 'valeu', needs value, unit and source",
        ),
        (at("levels", value=3), "levels = 3: Input should be a valid dictionary"),
        (at("schedules", value=[]), "schedules = []: Input should be a valid dictionary"),
        (at("schedules", "a b", value={}), "schedules.a b"),
        (at("name", value="x" * 101), "name = 'xxxxxxxxxxxx"),
        (at("x\ny" * 99, value=0), "'x\\ny"),
    ],
)
def test_no_type_stands_for_another(spec, tmp_path, edit, message):
    tree = spec.to_tree()
    edit(tree)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(SpecError) as error:
        load_spec(path)
    line = str(error.value)
    assert line.startswith(f"{path}: ") and message in line
    assert len(line.splitlines()) == 1 and len(line) < 300 + len(str(path))


def test_a_whole_number_is_a_real_one(spec, tmp_path):
    tree = spec.to_tree()
    tree["converter"]["s_sat"]["value"] = 80
    path = tmp_path / "whole.json"
    path.write_text(json.dumps(tree))
    assert load_spec(path).hash == spec.hash == "968af2f0af1b0eba"


def test_what_json_readers_let_pass_is_refused(spec, tmp_path):
    text = json.dumps(spec.to_tree())
    path = tmp_path / "bad.json"
    for content, message in (
        (text.replace('"levels": {', '"levels": {"q": 1, ', 1), "levels.q: this key stands twice"),
        (text.replace('"value": 16', '"value": NaN', 1), "subtiles.value = NaN: needs a finite"),
        ("[" * 5000, "nested deeper than 64 levels"),
        ("\ufeff" + text, "begins with a byte order mark"),
    ):
        path.write_text(content, "utf-8")
        with pytest.raises(SpecError) as error:
            load_spec(path)
        assert str(path) in str(error.value) and message in str(error.value)


def test_several_faults_are_counted(spec, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"name": "mine"}))
    with pytest.raises(SpecError, match=r"geometry: .*; levels: Field required; and 7 more$"):
        load_spec(path)


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


def test_imperfections_change_the_hash_but_not_that_of_the_codes(spec):
    noisy = spec.replace(imperfections__read_noise_k=0.4)
    other = noisy.replace(imperfections__device_seed=1)
    assert len({spec.hash, noisy.hash, other.hash}) == 3
    assert spec.codes_hash == noisy.codes_hash == other.codes_hash
    assert noisy.ideal.imperfections.off and noisy.ideal.hash == spec.hash
    assert noisy.ideal.to_tree()["imperfections"]["read_noise_k"]["source"] == ""


def test_a_file_from_before_there_were_imperfections_is_the_ideal_head(spec, tmp_path):
    tree = spec.to_tree()
    del tree["imperfections"]
    path = tmp_path / "older.json"
    path.write_text(json.dumps(tree))
    older = load_spec(path)
    assert older.imperfections.off and older.hash == spec.hash == "968af2f0af1b0eba"


def test_an_overlay_changes_what_it_names_and_nothing_else(spec, tmp_path):
    small = spec.replace(name="small", geometry__subtiles=2)
    typical = overlaid(small, "typical")
    assert typical.name == "small-typical" and typical.ideal.hash == small.hash
    assert typical.imperfections.read_noise_k == 0.4
    noise = typical.to_tree()["imperfections"]["write_noise_v"]
    assert noise["value"] == 0.002 and "kT/C" in noise["source"]
    assert typical.to_tree()["geometry"]["subtiles"]["source"] == "changed by the user"
    path = tmp_path / "mine.json"
    quantity = {"value": 70, "unit": "cycles", "source": "mine"}
    path.write_text(json.dumps({"schedules": {"leroux2025": {"period": quantity}}}))
    mine = overlaid(spec, str(path))
    assert mine.name == "leroux2025-mine" and mine.schedule.period == 70
    assert mine.hash == spec.replace(schedules__leroux2025__period=70).hash


def test_a_bad_overlay_is_named(spec, tmp_path):
    with pytest.raises(SpecError, match=r"no overlay 'absent': there are typical, or give"):
        overlaid(spec, "absent")
    with pytest.raises(SpecError, match=r"absent\.json: No such file"):
        overlaid(spec, str(tmp_path / "absent.json"))
    path = tmp_path / "bad.json"
    for field, message in (
        ({"write_noise_v": {"value": 1, "unit": "mV"}}, "write_noise_v: unit is 'mV', needs 'V'"),
        ({"noise": {"value": 1, "unit": "V"}}, "imperfections.noise = 1: Extra inputs are not"),
        ({"write_noise_v": {"value": -1, "unit": "V"}}, "write_noise_v = -1: Input should be gre"),
        ({"write_noise_v": {"value": True, "unit": "V"}}, "write_noise_v = True: Input should be"),
    ):
        path.write_text(json.dumps({"imperfections": field}))
        with pytest.raises(SpecError) as error:
            overlaid(spec, str(path))
        assert str(path) in str(error.value) and message in str(error.value)


def test_the_name_of_an_overlay_is_text(spec, tmp_path):
    path = tmp_path / "Mine.json"
    path.write_text(json.dumps({"name": 64}))
    with pytest.raises(SpecError, match="name = 64: Input should be a valid string"):
        overlaid(spec, str(path))
    path.write_text("{}")
    with pytest.raises(SpecError, match="name = 'leroux2025-Mine': String should match"):
        overlaid(spec, str(path))


def test_a_specification_is_found_by_name_or_path(spec, tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(spec.replace(name="small").to_tree()))
    assert find_spec("leroux2025") == spec and find_spec(path).name == "small"
    with pytest.raises(SpecError, match=r"^other: no such file, and no preset: .*leroux2025"):
        find_spec("other")
