import pytest

from estimate.errors import EstimateError
from estimate.models import model_names, named_model
from tests.estimate.si import approx

POSITIONS = {"gpt2-124m": 1024 * 768, "gpt2-355m": 1024 * 1024}
STATED = {
    "gpt2-124m": 124.4e6,
    "gpt2-355m": 354.8e6,
    "gpt2-774m": 774e6,
    "gpt2-1.5b": 1557.6e6,
    "smollm2-135m": 134.5e6,
    "llama3-8b": 8.03e9,
}


def test_shapes_have_as_many_weights_as_their_names_say():
    assert set(model_names()) == set(STATED)
    for name, stated in STATED.items():
        model = named_model(name)
        untied = model.vocabulary * model.width if name == "llama3-8b" else 0
        assert model.weights + untied == approx(stated, rel=0.01), name
        assert model.heads % model.kv_heads == 0


def test_a_model_that_there_is_not_is_named():
    with pytest.raises(EstimateError, match="no model 'gpt5': there are gpt2-124m"):
        named_model("gpt5")
