"""The codes of the small model's attention."""

import torch
from torch import Tensor

from ml.attention.backend import Codes
from ml.finite import finite_outputs
from ml.small.hardware_attention import attention_layers
from ml.small.model import LanguageModel, blocks


@torch.no_grad()
def codes_of(model: LanguageModel, ids: Tensor) -> tuple[Codes, Tensor]:
    """Codes of every layer and head, [layer, head, token, D], and predicted ids, for ids [T].

    Raises ModelError where a value is not finite, and names the layer.
    """
    x, layers = model.hidden(ids[None]), []
    with finite_outputs(model):
        for block, layer in zip(blocks(model), attention_layers(model), strict=True):
            x, normed = block(x), block.norm_attention(x)
            layers.append([signal[0] for signal in layer.codes(normed)])
        predicted = (model.norm(x) @ model.tokens.weight.T).argmax(-1)[0]
    return Codes(*(torch.stack(signal) for signal in zip(*layers, strict=True))), predicted
