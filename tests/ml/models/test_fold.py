"""Folding moves what stands around the heads into the projections, and changes no code."""

import pytest
import torch

from ml.adapt.initialise import Mapping, initialise
from ml.adapt.student import new_student
from ml.attention.backend import Recording
from ml.attention.heads import using
from ml.checkpoint import load_tensors
from ml.errors import ModelError
from ml.models import convert, heads_of
from ml.models.fold import fold, save_folded
from ml.models.folders import load_converted
from ml.models.shipped import WEIGHTS
from tests.ml.families import EXACT
from tests.ml.tiny import tiny_spec


@pytest.fixture(params=[True, False], ids=["mixing", "scales"])
def adapted(request, tiny_gpt2, texts, generator):
    """A mapped GPT-2 whose scales and offsets are no two alike, double precision."""
    options = EXACT.__class__(**{**vars(EXACT), "mixing": request.param})
    student = new_student(tiny_gpt2.model, tiny_spec(), "linear", options)
    initialise(student, tiny_gpt2, texts, Mapping())
    with torch.no_grad():
        for name, parameter in student.model.named_parameters():
            if ".heads." in name:
                parameter.mul_(1 + 0.1 * torch.rand(parameter.shape, generator=generator))
    return student.model.double()


@torch.no_grad()
def run(model, texts):
    """Codes of every layer, and logits."""
    recording = Recording()
    with using(model, recording):
        logits = model(texts, use_cache=False).logits
    return [codes for (codes,) in recording.codes.values()], logits


def test_codes_stay_and_outputs_differ_by_rounding_alone(adapted, texts):
    folded = fold(adapted)
    (codes, logits), (own, own_logits) = run(adapted, texts), run(folded, texts)
    for layer, expected in zip(own, codes, strict=True):
        for got, wanted in zip(layer, expected, strict=True):
            assert torch.equal(got, wanted)
        assert all(signal.unique().numel() > 3 for signal in layer)
    torch.testing.assert_close(own_logits, logits)


def test_projections_give_codes_themselves(adapted, tiny_gpt2):
    folded = fold(adapted)
    assert folded.config.mixing is False and adapted.config.mixing == heads_of(adapted)[0].mixing
    for heads in heads_of(folded):
        for name, full in heads.spec.levels.full_scale.items():
            scale = heads.get_parameter(f"scaler_{name}")
            assert torch.all((scale if name == "out" else 1 / scale) == full)
            assert not heads.get_parameter(f"offset_{name}").any()
    plain = {n: t.shape for n, t in folded.state_dict().items() if ".heads." not in n}
    assert plain == {n: t.shape for n, t in tiny_gpt2.model.state_dict().items()}


def test_a_folded_model_is_saved_in_half_precision_and_computed_in_double(adapted, texts, tmp_path):
    saved = save_folded(adapted, tmp_path)
    tensors, _ = load_tensors(tmp_path / WEIGHTS)
    assert {t.dtype for n, t in tensors.items() if ".heads." not in n} == {torch.float16}
    loaded = load_converted(tmp_path)
    assert loaded.dtype == torch.float64
    assert torch.equal(run(loaded, texts)[1], run(saved, texts)[1])
    got, wanted = (run(model, texts)[1] for model in (loaded, adapted))
    assert (got - wanted).abs().mean() < 0.1 * wanted.std()


def test_models_that_turn_queries_by_their_positions_are_refused(llama, hf_spec):
    with pytest.raises(ModelError, match=r"^GainCellLlamaForCausalLM: cannot be folded: its posit"):
        fold(convert(llama, hf_spec))
