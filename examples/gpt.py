"""A complete small GPT whose attention runs on gain cells: it trains, and then writes.

    python examples/gpt.py [FILE] [--steps N] [--softmax] [--tokens N]

FILE is any text in UTF-8 (without it: the held-out Shakespeare that ships). Tokens are characters.
In training, every layer does what the hardware does: queries, keys and values are rounded to codes,
and what comes back are counts of pulses. `--softmax` trains the same model with softmax attention.
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from analog_models.spec import HardwareSpec, load_preset
from common.arguments import natural
from common.errors import run_command
from common.files import read_text
from ml.attention.exact import exact_attention
from ml.attention.fast import fast_attention
from ml.attention.surrogate import SurrogateOps
from ml.errors import CorpusError
from ml.train import heldout, tokenizer

CONTEXT, LAYERS, HEADS = 64, 2, 2  # tokens that a text has in training; layers; heads of each
BATCH, RATE = 16, 2e-3
OPS = SurrogateOps()  # rounds and clips as the hardware does, with gradients that training can use


class Signal(nn.Module):
    """A signal of a head as codes: the whole number nearest to full scale * (scale * x + offset).

    x: [B, H, T, D] -> codes [B, H, T, D], 0 to `full`. Scale and offset are learnt per channel.
    """

    def __init__(self, heads: int, dim: int, full: int, offset: float) -> None:
        super().__init__()
        self.full = full
        self.scale = nn.Parameter(torch.full((heads, 1, dim), 0.3))
        self.offset = nn.Parameter(torch.full((heads, 1, dim), offset))

    def forward(self, x: Tensor) -> Tensor:
        return OPS.clip(OPS.quantise(self.full * (self.scale * x + self.offset)), 0, self.full)


class GainCellAttention(nn.Module):
    """Causal attention of all heads of a layer on the hardware of `spec`."""

    def __init__(self, spec: HardwareSpec) -> None:
        super().__init__()
        self.spec = spec
        dim, full = spec.geometry.head_dim, spec.levels.full_scale
        self.q = Signal(HEADS, dim, full["q"], 0.2)  # a query is a pulse: it has no sign
        self.k = Signal(HEADS, dim, full["k"], 0.5)  # in the middle a cell moves no charge
        self.v = Signal(HEADS, dim, full["v"], 0.5)
        self.gain = nn.Parameter(torch.full((HEADS, 1, dim), 1 / full["out"]))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v: [B, H, T, D] -> [B, H, T, D]."""
        codes = self.q(q), self.k(k), self.v(v)
        if self.training:
            counts = fast_attention(self.spec, *codes)
        else:  # as the hardware counts, in every digit
            counts = exact_attention(self.spec, *(code.double() for code in codes)).float()
        return self.gain * counts


class SoftmaxAttention(nn.Module):
    """What nearly every GPT has."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v: [B, H, T, D] -> [B, H, T, D]."""
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


class Block(nn.Module):
    """Attention and two feed-forward layers, each added to the stream [B, T, C]."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        # [B, T, 3 C] -> three of [B, H, T, D]
        q, k, v = self.qkv(self.before(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        heads = self.attention(q, k, v).transpose(1, 2).flatten(2)  # [B, T, C]
        x = x + self.proj(heads)
        return x + self.mlp(self.between(x))


class GPT(nn.Module):
    """Token ids [B, T], T at most CONTEXT -> logits [B, T, vocabulary]."""

    def __init__(self, vocabulary: int, spec: HardwareSpec, softmax: bool = False) -> None:
        super().__init__()
        width = HEADS * spec.geometry.head_dim
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(CONTEXT, width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)
        kinds = (SoftmaxAttention() if softmax else GainCellAttention(spec) for _ in range(LAYERS))
        self.blocks = nn.Sequential(*(Block(width, attention) for attention in kinds))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places.weight[: ids.shape[-1]]
        return self.head(self.norm(self.blocks(x)))

    @torch.no_grad()
    def generate(self, ids: Tensor, tokens: int, chance: torch.Generator) -> Tensor:
        """Ids [T] and as many more as `tokens`, drawn one after the other."""
        self.eval()
        for _ in range(tokens):
            logits = self(ids[None, -CONTEXT:])[0, -1]
            drawn = torch.multinomial((logits / 0.8).softmax(-1), 1, generator=chance)
            ids = torch.cat([ids, drawn])
        return ids


def loss_of(model: GPT, ids: Tensor) -> Tensor:
    """Mean cross entropy of the next token, ids [B, CONTEXT + 1]."""
    logits = model(ids[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def train(model: GPT, ids: Tensor, steps: int, chance: torch.Generator) -> None:
    """Train on random stretches of `ids` [tokens]; the rate rises, then falls to zero."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.1)
    for step in range(steps):
        share = min((step + 1) / 20, 0.5 + 0.5 * math.cos(math.pi * step / steps))
        optimiser.param_groups[0]["lr"] = RATE * share
        starts = torch.randint(len(ids) - CONTEXT, (BATCH, 1), generator=chance)
        loss = loss_of(model, ids[starts + torch.arange(CONTEXT + 1)])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 25 == 0 or step == steps - 1:
            print(f"step {step:4}: loss {loss.item():.3f}", flush=True)


def read(file: Path | None) -> str:
    """The text of a file, or the held-out Shakespeare that ships."""
    if file is not None:
        return read_text(file)
    return tokenizer.load().decode(heldout.load()["shakespeare"].tolist())


def main(argv: list[str] | None = None) -> int:
    """Command line: train, then write."""
    parser = argparse.ArgumentParser(prog="examples/gpt.py", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="a text (the Shakespeare that ships)")
    parser.add_argument("--steps", type=natural(1), default=200, help="steps of training")
    parser.add_argument("--tokens", type=natural(1), default=200, help="characters to write")
    parser.add_argument("--softmax", action="store_true", help="softmax instead of gain cells")
    options = parser.parse_args(argv)
    text = read(options.file)
    if len(text) < 10 * CONTEXT:
        raise CorpusError(f"{options.file}: {len(text)} characters, needs {10 * CONTEXT} or more")
    torch.manual_seed(0)
    chance = torch.Generator().manual_seed(0)
    letters = sorted(set(text))
    ids = torch.tensor([letters.index(letter) for letter in text])
    model = GPT(len(letters), load_preset(), options.softmax)
    cut = len(ids) * 9 // 10  # the last tenth is for validation
    train(model, ids[:cut], options.steps, chance)
    held = ids[cut:].unfold(0, CONTEXT + 1, CONTEXT)[:16]
    with torch.no_grad():
        print(f"held-out loss {loss_of(model.eval(), held).item():.3f}\n")
    written = model.generate(ids[cut : cut + CONTEXT], options.tokens, chance)
    print("".join(letters[i] for i in written))
    return 0


if __name__ == "__main__":
    run_command(main)
