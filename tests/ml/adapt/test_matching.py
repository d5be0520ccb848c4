"""From the linear to the cubic cell without a gradient."""

import copy

import numpy as np
import pytest
import torch

from ml.adapt.initialise import Mapping, initialise
from ml.adapt.matching import MATCHINGS, match, measure
from ml.adapt.objectives import layer_errors
from ml.models.families import set_hardware
from tests.ml.tiny import tiny_spec
from tests.publication.matching import Reals, Statistics, by_head, published_matching


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr("ml.adapt.following.MAX_STEPS", 12)


def to_cubic(student):
    return lambda: set_hardware(student.model, tiny_spec(), "cubic")


@pytest.mark.parametrize("matching", MATCHINGS)
def test_statistics_of_the_linear_model_are_found_again(soft, student, texts, matching):
    initialise(student, soft, texts, Mapping())
    published, fits = matching.startswith("published"), matching.endswith("regression")
    target = measure(student, texts, published)
    weights = {n: t.clone() for n, t in student.model.state_dict().items()}
    errors = match(student, texts, matching, to_cubic(student), 1e-3)
    assert errors[0] > 0.02 and errors[-1] < 0.6 * errors[0]
    if not fits:
        assert measure(student, texts, published).error(target) <= 1.5 * errors[-1]
    moved = {n for n, t in student.model.state_dict().items() if not torch.equal(t, weights[n])}
    fitted = {n for n in moved if "heads" not in n}
    assert all("o_proj" in n for n in fitted) and bool(fitted) == fits
    assert student.model.config.stage == "cubic"


def test_a_model_on_its_own_cell_needs_no_step(soft, student, texts):
    initialise(student, soft, texts, Mapping())
    assert match(student, texts, "published", lambda: None, 1e-3) == [0.0]


def test_published_scalers_are_one_pair_per_head(soft, student, texts):
    initialise(student, soft, texts, Mapping())
    heads = student.attentions[0].heads
    before = heads.mix_k.clone(), heads.offset_k.clone()
    match(student, texts, "published", to_cubic(student), 1e-3)
    a = heads.mix_k / before[0]
    torch.testing.assert_close(a, a[:, :1, :1].expand_as(a), rtol=1e-3, atol=0)
    b = heads.offset_k - a[:, 0, :1] * before[1]
    torch.testing.assert_close(b, b[:, :1].expand_as(b), rtol=1e-3, atol=1e-4)


def test_regression_brings_the_attention_nearer(soft, student, texts, monkeypatch):
    monkeypatch.setattr("ml.adapt.following.MAX_STEPS", 4)
    initialise(student, soft, texts, Mapping())
    state = {n: t.clone() for n, t in student.model.state_dict().items()}
    found = {}
    for matching in ("charge", "regression"):
        student.model.load_state_dict(state)
        set_hardware(student.model, tiny_spec().linearised(), "linear")
        match(student, texts, matching, to_cubic(student), 1e-3)
        found[matching] = sum(layer_errors(soft, student, texts)["attention"])
    assert found["regression"] < found["charge"]


def test_a_channel_that_cannot_follow_is_left_in_reach(soft, student, texts, monkeypatch):
    monkeypatch.setattr("ml.adapt.following.MAX_STEPS", 40)
    initialise(student, soft, texts, Mapping())
    keys = student.attentions[0].heads.offset_k
    with torch.no_grad():
        keys[0, 0] = 3.0  # always at the highest level: moves neither mean nor spread
    before = {n: t.clone() for n, t in student.model.state_dict().items()}

    def to_other_cells():
        to_cubic(student)()
        with torch.no_grad():
            student.attentions[0].heads.mix_k[0, :, 0] *= 1e-3  # and nothing is left to amplify

    match(student, texts, "charge", to_other_cells, 1e-3)
    after = student.model.state_dict()
    shift = max(float((after[n] - t).abs().max()) for n, t in before.items() if "offset_k" in n)
    assert shift < 0.51
    assert bool(torch.isfinite(torch.cat([t.half().flatten() for t in after.values()])).all())


def scaled_statistics(student, texts) -> list[Statistics]:
    """Mean and standard deviation of q, k, v and output of every layer, [head] each."""
    found = []

    def note(heads, inputs, output) -> None:
        for name, x in zip("qkv", inputs, strict=True):
            offset = heads.get_parameter(f"offset_{name}")[:, None]
            scaled = (
                x * heads.scaler_v[:, None]
                if name == "v"
                else x @ heads.get_parameter(f"mix_{name}")
            )
            found.append(by_head((scaled + offset).numpy()))
        found.append(by_head(output.numpy()))

    hooks = [a.heads.register_forward_hook(note) for a in student.attentions]
    student.hidden(texts)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def test_published_matching_is_the_published_rule(soft, student, texts):
    """Signals have unlike numbers of heads: their statistics lie one behind the other.

    In double precision, so that no code falls to the other side of a step.
    """
    initialise(student, soft, texts, Mapping())
    student.model.double()
    restated = copy.deepcopy(student)
    modules = [attention.heads for attention in restated.attentions]
    own = [copy.deepcopy(heads) for heads in modules]

    def joined(statistics: list[Statistics]) -> Statistics:
        means, stds = zip(*statistics, strict=True)
        return np.concatenate(means), np.concatenate(stds)

    def statistics(a: Reals, b: Reals) -> Statistics:
        at = 0
        for heads, before in zip(modules, own, strict=True):
            for name in ("mix_q", "mix_k", "scaler_v", "scaler_out"):
                offset = f"offset_{name.split('_')[1]}"
                count = len(before.get_parameter(offset))
                scale, shift = (torch.from_numpy(x[at : at + count]) for x in (a, b))
                first = before.get_parameter(name)
                heads.get_parameter(name).copy_(scale.view(-1, *[1] * (first.dim() - 1)) * first)
                moved = scale[:, None] * before.get_parameter(offset) + shift[:, None]
                heads.get_parameter(offset).copy_(moved)
                at += count
        return joined(scaled_statistics(restated, texts))

    target = joined(scaled_statistics(restated, texts))
    to_cubic(restated)()
    a, b, errors = published_matching(statistics, target, 12)
    statistics(a, b)
    found_errors = match(student, texts, "published", to_cubic(student), 1e-3)
    assert found_errors == pytest.approx(errors, rel=1e-6) and len(errors) > 4
    for attention, heads in zip(student.attentions, modules, strict=True):
        for (name, found), wanted in zip(
            attention.heads.named_parameters(), heads.parameters(), strict=True
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9, msg=name)
    assert np.abs(a - 1).max() > 0.01 and np.abs(b).max() > 0.001
