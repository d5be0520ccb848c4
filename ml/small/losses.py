"""What the student is trained on: the teacher's attention first, then the teacher's words."""

import torch
from torch import Tensor
from torch.nn import functional

from ml.small.hardware_attention import attention_layers
from ml.small.model import LanguageModel, blocks

TEXT_WEIGHT = 1.0  # of the true next token beside the teacher's distribution
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
        error = (layer(normed).float() - target.float()).square().mean()
        losses.append(error / target.float().var().clamp_min(SMALLEST_VARIANCE))
        x = block(x)
    return torch.stack(losses).mean()


def distillation_loss(student: LanguageModel, teacher: LanguageModel, ids: Tensor) -> Tensor:
    """KL divergence from the teacher's next-token distribution, and the text itself.

    ids: [B, T + 1]. Both are cross entropies to the student, so one with the sum of what they want
    has the gradients of both.
    """
    with torch.no_grad():
        wanted = functional.log_softmax(teacher(ids[:, :-1]).float(), dim=-1).flatten(0, 1)
        target = wanted.exp()
        entropy = -(target * wanted).sum(-1).mean()
        text = torch.full_like(wanted[:, :1], TEXT_WEIGHT)
        target.scatter_add_(1, ids[:, 1:].reshape(-1, 1), text)
    logits = student(ids[:, :-1]).float().flatten(0, 1)
    return functional.cross_entropy(logits, target) - entropy
