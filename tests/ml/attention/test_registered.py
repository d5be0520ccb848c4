import pytest
import torch

from ml.errors import ModelError
from ml.models import convert

PAD = 11  # tokens of padding: neither a multiple of the sub-tile nor below it


@torch.no_grad()
def test_padding_changes_nothing(converted, hf_ids):
    tokens = hf_ids.shape[1]
    alone = converted(hf_ids, use_cache=False).logits
    padded = torch.zeros(3, tokens + PAD, dtype=torch.long)
    padded[0, PAD:], padded[1, :tokens], padded[2, 4 : 4 + tokens] = hf_ids
    mask = torch.zeros_like(padded)
    mask[0, PAD:] = mask[1, :tokens] = mask[2, 4 : 4 + tokens] = 1
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    logits = converted(padded, attention_mask=mask, position_ids=positions, use_cache=False).logits
    for row, first in enumerate((PAD, 0, 4)):
        assert torch.allclose(logits[row, first : first + tokens], alone[row], atol=1e-5)


def test_packed_sequences_are_refused(llama, hf_spec, hf_ids):
    positions = torch.cat((torch.arange(30), torch.arange(30)))[None].expand(3, -1)
    with pytest.raises(ModelError, match=r"packed sequences.*row by row$"):
        convert(llama, hf_spec)(hf_ids, position_ids=positions, use_cache=False)


def test_a_mask_of_its_own_is_refused(llama, hf_spec, hf_ids):
    mask = torch.zeros(3, 1, 60, 60)
    with pytest.raises(ModelError, match=r"^attention mask of shape \(3, 1, 60, 60\): allowed"):
        convert(llama, hf_spec)(hf_ids, attention_mask=mask, use_cache=False)


def test_softmax_models_cannot_ask_for_it(llama, hf_ids):
    llama.set_attn_implementation("gaincell")
    with pytest.raises(ModelError, match=r"^LlamaAttention has no gain-cell heads"):
        llama(hf_ids)
