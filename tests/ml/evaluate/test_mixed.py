"""Models of which some layers run on gain cells."""

import pytest
import torch

from common.errors import ArtefactError
from common.files import read_json, sha256
from ml.adapt.stage_files import origin_of
from ml.adapt.student import adapted_tensors, new_student
from ml.adapt.work import Options
from ml.checkpoint import save_tensors
from ml.errors import ModelError, SettingError
from ml.evaluate import mixed
from ml.evaluate.mixed import choices_of, measure, pair_of, shown, stage_model
from ml.evaluate.perplexity import perplexity
from ml.models import convert, heads_of
from ml.models.delta import weights_sha256
from ml.models.network import Network
from tests.ml import tiny
from tests.ml.families import make_family


@pytest.fixture
def pair(family, hf_spec) -> tuple[Network, Network]:
    return pair_of(family, convert(family, hf_spec).double())


def test_every_choice_of_layers_is_measured_from_the_teacher_to_the_student(pair, hf_ids, capsys):
    teacher, student = pair
    found = measure(teacher, student, hf_ids[:, :17], choices_of(2))
    assert [mix.layers for mix in found] == [(), (0,), (1,), (0, 1)]
    assert found[0].perplexity == perplexity(teacher.model, hf_ids[:, :17])
    assert found[3].perplexity == perplexity(student.model, hf_ids[:, :17])
    assert len({mix.perplexity for mix in found}) == 4
    assert found[1].ratio_to_teacher == found[1].perplexity / found[0].perplexity
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:2]] == ["none", "0"]


@torch.no_grad()
def test_the_other_layers_keep_softmax(pair, hf_ids):
    teacher, student = pair
    with mixed.mixed(teacher, student, (1,)) as model:
        (heads,) = heads_of(model)
        assert heads is heads_of(student.model)[1]
        own = model(hf_ids, use_cache=False).logits
    assert not heads_of(teacher.model) and len(heads_of(student.model)) == 2
    assert not torch.equal(own, teacher.model(hf_ids, use_cache=False).logits)


def test_what_was_mixed_is_separate_again_after_an_error(pair):
    teacher, student = pair
    with pytest.raises(ZeroDivisionError), mixed.mixed(teacher, student, (0,)):
        raise ZeroDivisionError
    assert not heads_of(teacher.model) and len(heads_of(student.model)) == 2


def test_choices_of_many_layers():
    assert choices_of(3) == choices_of(3, "all") and len(choices_of(3)) == 8
    assert choices_of(7) == choices_of(7, "prefix") == [tuple(range(n)) for n in range(8)]
    assert choices_of(3, "suffix") == [(), (2,), (1, 2), (0, 1, 2)]
    assert choices_of(3, "one-in") == [(), (0,), (1,), (2,)]
    assert choices_of(3, "one-out") == [(), (0, 1, 2), (1, 2), (0, 2), (0, 1)]
    assert len(choices_of(8, "all")) == 256
    with pytest.raises(SettingError, match=r"^choice is .all.: 9 layers have 2\^9 choices"):
        choices_of(9, "all")


def test_layers_are_named_in_short():
    assert shown(()) == "none" and shown((0, 2)) == "0 2" and shown((0, 1, 2, 3)) == "0 1 2 3"
    assert shown((*range(13), 14)) == "0-12 14"


def test_models_that_do_not_fit_are_refused(llama, hf_spec):
    with pytest.raises(ModelError, match=r"does not come from GPT2LMHeadModel"):
        pair_of(make_family("gpt2"), convert(llama, hf_spec))
    shorter = make_family("llama", num_hidden_layers=1)
    with pytest.raises(ModelError, match=r"are \(1, 64, 50\) in the base, \(2, 64, 50\) in"):
        pair_of(shorter, convert(llama, hf_spec))


def test_the_command_leaves_plot_and_result(adapted_folder, tmp_path):
    base, out = tmp_path / "base", tmp_path / "out"
    tiny.tiny_model().save_pretrained(base)
    tiny.tiny_tokenizer().save_pretrained(base)
    options = ["--model", str(adapted_folder), "--texts", "2", "--out", str(out)]
    with pytest.raises(SettingError, match=r"^base is missing: give the folder of the model that"):
        mixed.main(options)
    assert mixed.main([*options, "--base", str(base), "--choice", "one-out"]) == 0
    result = read_json(out / "result.json")
    assert [row["layers"] for row in result["rows"]] == [[], [0, 1], [1], [0]]
    assert result["tokens"] == 2 * 32
    weights = sha256(adapted_folder / "model.safetensors")
    assert result["sha256"] == {str(adapted_folder): weights}
    assert (out / "mixed.png").stat().st_size > 10_000


@pytest.mark.parametrize("options", [Options(mixing=False), Options(mlp_rank=3)])
@torch.no_grad()
def test_a_stage_of_the_adaptation_is_its_student(options, tmp_path):
    teacher, spec, path = tiny.tiny_model(), tiny.tiny_spec(), tmp_path / "layerwise.safetensors"
    student = new_student(teacher, spec, "layerwise", options)
    for tensor in adapted_tensors(student).values():
        tensor.add_(0.01)
    origin = origin_of(weights_sha256(teacher), spec, mixing=options.mixing)
    about = {"kind": "stage", "stage": "layerwise", "origin": origin}
    save_tensors(path, adapted_tensors(student), about)
    loaded = stage_model(path, teacher, spec)
    ids = torch.arange(2, 40)[None]
    ours, theirs = (m(ids, use_cache=False).logits for m in (loaded, student.model))
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    assert heads_of(loaded)[0].spec.codes_hash == spec.linearised().codes_hash
    with pytest.raises(ArtefactError, match=r"layerwise\.safetensors: of another teacher or hard"):
        stage_model(path, teacher, spec.replace(converter__s_sat=81.0))
