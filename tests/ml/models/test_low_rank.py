"""Updates of the MLPs: nothing at first, then part of the weights."""

import pytest
import torch

from ml.errors import SettingError
from ml.models.low_rank import LowRank, add_low_rank, merge_low_rank


@pytest.mark.parametrize("family", ["soft", "tiny_gpt2"])
def test_merged_updates_compute_the_same(family, request, texts):
    network = request.getfixturevalue(family)
    names = set(network.model.state_dict())
    with torch.no_grad():
        before = network.hidden(texts)
        add_low_rank(network, 4, seed=1)
        torch.testing.assert_close(network.hidden(texts), before, rtol=0, atol=0)
        for module in network.model.modules():
            if isinstance(module, LowRank):
                module.up.normal_(std=0.2, generator=torch.Generator().manual_seed(2))
        updated = network.hidden(texts)
        assert not torch.allclose(updated, before, atol=1e-2)
        merge_low_rank(network)
        torch.testing.assert_close(network.hidden(texts), updated, rtol=1e-4, atol=1e-4)
    assert set(network.model.state_dict()) == names


def test_a_rank_out_of_range_is_refused(soft):
    with pytest.raises(SettingError, match=r"^mlp_rank is 65, must be 1 to 64$"):
        add_low_rank(soft, 65, seed=1)
