"""Which parameters learn how, and that what is remembered comes back."""

import pytest
import torch

from ml.train.optimisers import MUON_STATE, Optimisers
from ml.train.parallel import ALONE, Ranks


@pytest.fixture
def module() -> torch.nn.Module:
    """A matrix and a vector each of a layer and of scalers, another layer, and mixing."""
    names = ("layer", "scalers", "second")
    parts = torch.nn.ModuleDict({name: torch.nn.Linear(3, 2) for name in names})
    parts.register_parameter("mix_q", torch.nn.Parameter(torch.zeros(1, 3, 3)))
    return parts


def optimisers(module, ranks=ALONE, muon_factor=None) -> Optimisers:
    return Optimisers(
        module,
        ranks,
        scaler_factor=4.0,
        mixing_factor=2.0,
        muon_factor=muon_factor,
        weight_decay=0.1,
    )


def groups(optimiser) -> set[tuple]:
    return {(len(g["params"]), g["weight_decay"], g["factor"]) for g in optimiser.param_groups}


def test_only_matrices_decay_and_the_groups_have_their_rates(module):
    (adamw,) = optimisers(module).all
    assert groups(adamw) == {(2, 0.1, 1.0), (2, 0.0, 1.0), (2, 0.0, 4.0), (1, 0.0, 2.0)}


def test_muon_takes_the_matrices_only(module):
    muon, adamw = optimisers(module, muon_factor=10.0).all
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    assert groups(muon) == {(2, 0.1, 10.0)}
    assert groups(adamw) == {(2, 0.0, 1.0), (2, 0.0, 4.0), (1, 0.0, 2.0)}


def test_embeddings_are_no_matter_of_muons(module):
    module["table"] = torch.nn.Embedding(5, 3)
    muon, adamw = optimisers(module, muon_factor=10.0).all
    assert groups(muon) == {(2, 0.1, 10.0)}
    assert (1, 0.1, 1.0) in groups(adamw)


def test_ranks_share_the_matrices_out(module):
    shares = [optimisers(module, Ranks(rank, 2), muon_factor=1.0).all[0] for rank in (0, 1)]
    own = [share.param_groups[0]["params"] for share in shares]
    assert [[id(p) for p in part] for part in own] == [
        [id(module.get_parameter("layer.weight"))],
        [id(module.get_parameter("second.weight"))],
    ]


@pytest.mark.parametrize("muon_factor", [None, 10.0])
def test_what_is_remembered_comes_back(module, muon_factor):
    first = optimisers(module, muon_factor=muon_factor)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    first.step(1e-2)
    state = first.state()
    assert (MUON_STATE in state[module.get_parameter("layer.weight")]) == (muon_factor is not None)
    second = optimisers(module, muon_factor=muon_factor)
    second.load(state)
    assert set(second.state()) == set(module.parameters())
    for parameter, values in second.state().items():
        assert all(torch.equal(state[parameter][name], value) for name, value in values.items())
