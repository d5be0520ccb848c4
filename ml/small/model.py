"""A GPT-2 language model in one file; what its attention is made of can be exchanged.

Learned positions, layer norm before each part, GELU, the output layer tied to the embedding:
the architecture of Radford et al. 2019, small enough to ship. In the shapes below B is the batch,
T the tokens of a text, C the width of the model, H the heads and D the dimension of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the model; every head has `width // heads` dimensions."""

    vocabulary: int = 2048
    context: int = 256
    layers: int = 4
    heads: int = 4
    width: int = 256

    @property
    def head_dim(self) -> int:
        """Dimension D of one head."""
        return self.width // self.heads


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, T, C] -> [B, H, T, D]."""
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def join_heads(x: Tensor) -> Tensor:
    """[B, H, T, D] -> [B, T, C]."""
    return x.transpose(-2, -3).flatten(-2)


class SoftmaxAttention(nn.Module):
    """Causal softmax attention: the teacher's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(join_heads(out))


class ZeroAttention(nn.Module):
    """Attention whose output is zero: the ablation that shows what attention is worth."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> zeros of the same shape."""
        return torch.zeros_like(x)


class FeedForward(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, 4 * config.width)
        self.down = nn.Linear(4 * config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        return self.down(functional.gelu(self.up(x)))


class Block(nn.Module):
    """Attention, then feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig, attention: nn.Module) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = attention
        self.norm_feed_forward = nn.LayerNorm(config.width)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        x = x + self.attention(self.norm_attention(x))
        return x + self.feed_forward(self.norm_feed_forward(x))


class LanguageModel(nn.Module):
    """Token ids in, logits of the next token out."""

    def __init__(
        self,
        config: ModelConfig,
        attention: Callable[[ModelConfig], nn.Module] = SoftmaxAttention,
    ) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config, attention(config)) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def initialise(self, generator: torch.Generator) -> "LanguageModel":
        """GPT-2's initial weights: normal, 0.02, residual projections smaller by depth."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("proj.weight", "down.weight"))
                std = 0.02 / (2 * self.config.layers) ** 0.5 if residual else 0.02
                nn.init.normal_(parameter, std=std, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        return self

    def hidden(self, ids: Tensor, start: int = 0) -> Tensor:
        """Ids [B, T] from position `start` on, all in the context -> embedded tokens [B, T, C]."""
        positions = torch.arange(start, start + ids.shape[-1], device=ids.device)
        return self.tokens(ids) + self.positions(positions)

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """Ids [B, T] from position `start` on -> logits [B, T, vocabulary].

        A start above 0 is for attention that keeps the keys and values of the tokens before.
        """
        x = self.hidden(ids, start)
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.tokens.weight)


def blocks(model: LanguageModel) -> list[Block]:
    """The blocks of a model, as blocks."""
    return [block for block in model.blocks if isinstance(block, Block)]


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy (nats): logits [B, T, vocabulary], targets [B, T]."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
