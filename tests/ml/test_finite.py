"""Where a number stops being finite is said by name."""

import pytest
import torch
from torch import nn

from ml.errors import ModelError
from ml.finite import finite_outputs, fitting, is_finite


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_is_finite_is_found_by_a_sum(dtype):
    largest = torch.finfo(dtype).max
    assert is_finite(torch.full((99,), largest, dtype=dtype))  # their sum is infinite
    assert is_finite(torch.zeros(0, dtype=dtype)) and is_finite(torch.tensor([1, 2]))
    for odd in ([torch.inf, -torch.inf], [torch.nan], [torch.inf], [-torch.inf]):
        assert not is_finite(torch.tensor([0.0, *odd, largest], dtype=dtype))


def test_the_first_module_that_is_not_finite_is_named():
    inner = nn.Linear(2, 2)
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(inner, nn.Linear(2, 2)))
    with finite_outputs(model):
        model(torch.ones(1, 2))
    inner.bias.data[0] = torch.inf
    message = r"^1\.0: its output is not finite; the weights before it"
    with pytest.raises(ModelError, match=message), finite_outputs(model):
        model(torch.ones(1, 2))
    assert not torch.isfinite(model(torch.ones(1, 2))).all()  # hooks are gone: as without it


def test_outputs_in_tuples_and_mappings_are_looked_at():
    class Wrapped(nn.Module):
        def forward(self, x):
            return {"none": None, "states": (x, [x / 0])}

    model, message = Wrapped(), r"^Wrapped: its output is not finite"
    with pytest.raises(ModelError, match=message), finite_outputs(model):
        model(torch.ones(1))


@pytest.mark.parametrize("spoil", ["infinite", "singular"])
def test_a_fit_that_has_no_answer_is_named(spoil):
    module = nn.Linear(2, 2)
    with fitting("layer", module):
        pass
    message = r"^layer: queries, keys or values do not vary"
    with pytest.raises(ModelError, match=message), fitting("layer", module):
        if spoil == "singular":
            torch.linalg.cholesky(torch.zeros(2, 2))
        module.weight.data[0, 0] = torch.nan
