"""The sensitivity analysis: resumable, honest about what it holds, drawn."""

import csv
from dataclasses import replace

import pytest
import torch

from analog_models.spec.designs import with_levels
from common.errors import ArtefactError
from common.files import read_json, sha256
from ml.errors import SettingError
from ml.evaluate import sensitivity
from ml.evaluate.sensitivity import Point, analyse, hardware_id, read_points, write_points
from ml.evaluate.sensitivity_plots import plot_sweeps
from ml.evaluate.sweeps import sweeps

RUN = "0123456789abcdef"


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Hardware that was measured; a perplexity is 10 + that many."""
    found: list[str] = []

    def measure(model, spec, texts, seed):
        found.append(hardware_id(spec))
        return 10.0 + len(found)

    monkeypatch.setattr(sensitivity, "measure", measure)
    return found


@pytest.fixture
def chosen(spec):
    few = {"window": (8, 64), "levels of q": (4, 16), "read_noise_k": (0.4,)}
    return [replace(s, values=few[s.name]) for s in sweeps(spec) if s.name in few]


def run(chosen, spec, path, name=RUN) -> list[Point]:
    model, texts = torch.nn.Identity(), torch.zeros(1, 2)
    return analyse(model, spec, chosen, texts, path, name, 0)  # pyright: ignore


def test_points_are_computed_once(spec, chosen, tmp_path, measured, capsys):
    path = tmp_path / "s.csv"
    first = run(chosen, spec, path)
    wanted = ["ideal", "window", "window", "levels of q", "levels of q", "read_noise_k"]
    assert [p.sweep for p in first] == wanted
    assert len(measured) == 5  # 16 levels of q are the ideal's
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]) + "\n")
    assert [p.perplexity for p in run(chosen, spec, path)[:-2]] == [11, 12, 13, 14]
    assert len(measured) == 6
    assert "[  2/2] read_noise_k" in capsys.readouterr().out


def test_the_same_hardware_has_the_same_id(spec):
    assert hardware_id(with_levels(spec)) == hardware_id(spec)
    noisy = spec.replace(imperfections__read_noise_k=0.1)
    assert hardware_id(noisy) != hardware_id(spec)


def test_points_of_another_run_are_refused(spec, chosen, tmp_path, measured):
    path = tmp_path / "s.csv"
    run(chosen, spec, path)
    with pytest.raises(ArtefactError, match=r"of another model.*remove it or choose another --out"):
        run(chosen, spec, path, "f" * 16)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "sweep,value\nwindow,8\n",
        lambda text: text.replace("11.0", "nan"),
        lambda text: text.replace("11.0", "-11"),
        lambda text: text.replace("11.0", "1e999"),
        lambda text: text.replace("perplexity", "perplexitx"),
        lambda text: text.replace("ratio_to_ideal", "perplexity", 1),
        lambda text: text[:-25],
        lambda text: text + "x",
        lambda text: text.replace("ideal,", "ideal,1,"),
        lambda text: text.replace("11.0", "x" * 200_000),
    ],
)
def test_a_damaged_table_is_refused_and_kept(spec, chosen, tmp_path, measured, edit):
    path = tmp_path / "s.csv"
    run(chosen, spec, path)
    path.write_text(edit(path.read_text()))
    damaged = path.read_text()
    with pytest.raises(ArtefactError, match="not a table of this command") as error:
        read_points(path, RUN)
    assert len(str(error.value)) < 300 + len(str(path)) and path.read_text() == damaged


def test_a_table_without_its_first_point_is_refused(spec, chosen, tmp_path, measured):
    path = tmp_path / "s.csv"
    run(chosen, spec, path)
    header, _, *rest = path.read_text().splitlines()
    path.write_text("\n".join([header, *rest]))
    with pytest.raises(ArtefactError, match="does not begin with the point 'ideal'"):
        run(chosen, spec, path)


def test_the_table_is_read_as_it_was_written(tmp_path):
    ideal = Point("ideal", "", 1.0, 84.653249475, 1.0, 0.5, "b" * 16, RUN)
    point = Point("leakage", "1 / token", 1.6e-4, 28.217749825, 1.0 / 3, 0.25, "a" * 16, RUN)
    path = write_points(tmp_path / "s.csv", [ideal, point])
    assert read_points(path, RUN) == [ideal, point]
    assert next(csv.reader(path.read_text().splitlines())) == list(Point._fields)


def test_a_plot_for_each_kind(spec, tmp_path):
    chosen = [s for s in sweeps(spec) if s.name in ("window", "read_noise_k")]
    points = [Point(s.name, s.unit, x, 11, 1.1, 0, "", RUN) for s in chosen for x in s.values]
    paths = plot_sweeps(chosen, points, "title", tmp_path)
    assert [path.name for path in paths] == ["design.png", "imperfections.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert plot_sweeps(chosen[:1], points, "title", tmp_path) == paths[:1]


def test_measuring_runs_the_model_on_that_hardware(converted, hf_spec, hf_ids):
    texts = hf_ids[:2, :17]
    ideal = sensitivity.measure(converted, hf_spec, texts, 0)
    assert sensitivity.measure(converted, with_levels(hf_spec), texts, 0) == ideal
    noisy = hf_spec.replace(imperfections__read_noise_k=2.0)
    first = sensitivity.measure(converted, noisy, texts, 0)
    assert first == sensitivity.measure(converted, noisy, texts, 0) != ideal
    assert sensitivity.measure(converted, noisy, texts, 1) != first


def test_the_command_measures_the_model_in_a_folder(adapted_folder, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--model", str(adapted_folder), "--texts", "2", "--quick", "--out", str(out)]
    assert sensitivity.main([*options, "--only", "read_noise_k", "--only", "window"]) == 0
    result = read_json(out / "result.json")
    assert {row["sweep"] for row in result["rows"]} == {"read_noise_k", "window"}
    assert result["texts"] == 2 and result["tokens"] == 2 * 32
    weights = adapted_folder / "model.safetensors"
    assert result["adapted"] == {"file": str(adapted_folder), "sha256": sha256(weights)}
    assert (out / "imperfections.png").exists()
    capsys.readouterr()
    assert sensitivity.main([*options, "--only", "window"]) == 0
    assert "perplexity" not in capsys.readouterr().out  # nothing is computed twice
    with pytest.raises(SettingError, match=r"^only is 'x', must be of 'window', "):
        sensitivity.main([*options, "--only", "x"])
