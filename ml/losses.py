"""What the student is trained on: the teacher's attention first, then the teacher's words."""

import torch
from torch import Tensor
from torch.nn import functional

from ml.hardware_attention import attention_layers
from ml.model import LanguageModel, blocks, next_token_loss

TEXT_WEIGHT = 0.5  # of the true next token beside the teacher's distribution
SMALLEST_VARIANCE = 1e-8


def layer_wise_loss(student: LanguageModel, teacher: LanguageModel, ids: Tensor) -> Tensor:
    """Squared error of each attention layer's output, relative to its variance, mean over layers.

    Every layer gets the teacher's input, so that errors of earlier layers do not disturb it.
    ids: [B, T].
    """
    x, losses = teacher.hidden(ids), []
    for block, layer in zip(blocks(teacher), attention_layers(student), strict=True):
        normed = block.norm_attention(x)
        target = block.attention(normed)
        error = (layer(normed) - target).square().mean()
        losses.append(error / target.var().clamp_min(SMALLEST_VARIANCE))
        x = block(x)
    return torch.stack(losses).mean()


def distillation_loss(student: LanguageModel, teacher: LanguageModel, ids: Tensor) -> Tensor:
    """KL divergence from the teacher's next-token distribution, and the text itself.

    ids: [B, T + 1].
    """
    with torch.no_grad():
        wanted = functional.log_softmax(teacher(ids[:, :-1]), dim=-1).flatten(0, 1)
    logits = student(ids[:, :-1])
    got = functional.log_softmax(logits, dim=-1).flatten(0, 1)
    kl = functional.kl_div(got, wanted, reduction="batchmean", log_target=True)
    return kl + TEXT_WEIGHT * next_token_loss(logits, ids[:, 1:])
