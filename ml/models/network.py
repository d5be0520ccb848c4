"""One view of every family's language model: its parts by their role, in the order of the layers.

In the shapes below B is the batch, T the tokens of a text and C the width of the model.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ml.errors import ModelError
from ml.finite import finite_outputs
from ml.models.families import attention_modules
from ml.train.parallel import ALONE, Ranks

LOGITS = 1 << 24  # computed at once: 64 MB in single precision
TOKENS = 1024  # per batch of a validation
Hook = Callable[[int, tuple[Any, ...], dict[str, Any], Any], Any]


class Network:
    """A causal language model of transformers: residual stream, attention layers, output layer.

    `precision`: of the matrix products.
    """

    def __init__(self, model: PreTrainedModel, precision: torch.dtype = torch.bfloat16) -> None:
        self.model, self.precision = model, precision
        self.attentions = attention_modules(model)
        names = {module: name for name, module in model.named_modules()}
        self.names = [names[module] for module in self.attentions]
        self.blocks = [model.get_submodule(name.rpartition(".")[0]) for name in self.names]

    def autocast(self) -> torch.autocast:
        """Matrix products in `precision` inside this context."""
        kind = self.model.device.type
        return torch.autocast(kind, self.precision, enabled=self.precision != torch.float32)

    def hidden(self, ids: Tensor) -> Tensor:
        """Ids [B, T] -> the last, normalised state [B, T, C]; the stream in single precision.

        That of a model in double precision is in double precision.
        """
        embed: Any = self.model.get_input_embeddings()
        embedded = at_least_single(embed(ids))
        return self.model.base_model(inputs_embeds=embedded, use_cache=False).last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """States [n, C] -> logits [n, vocabulary]."""
        output: Any = self.model.get_output_embeddings()
        return at_least_single(output(hidden))

    def rows(self) -> int:
        """States whose logits are computed at once."""
        return max(1, LOGITS // self.model.config.vocab_size)


def at_least_single(x: Tensor) -> Tensor:
    """`x` in at least single precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@contextmanager
def hooked(modules: Sequence[nn.Module], hook: Hook, before: bool = False) -> Iterator[None]:
    """`hook(i, args, kwargs, output)` after each of `modules`; may return another output.

    With `before` it comes first, the output is None, and it returns nothing.
    """

    def call(i: int, _: nn.Module, args: tuple, kwargs: dict, output: Any = None) -> Any:
        return hook(i, args, kwargs, output)

    handles = []
    for i, module in enumerate(modules):
        register = module.register_forward_pre_hook if before else module.register_forward_hook
        handles.append(register(partial(call, i), with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def state_of(output: Any) -> Tensor:
    """The states [B, T, C] in what an attention module or a block returns."""
    return output[0] if isinstance(output, tuple) else output


def freeze(network: Network, trained: Callable[[str], bool]) -> None:
    """Train the parameters whose name is `trained`; the other large layers take the precision."""
    for name, parameter in network.model.named_parameters():
        parameter.requires_grad_(trained(name))
    for module in network.model.modules():
        frozen = not any(p.requires_grad for p in module.parameters())
        if frozen and isinstance(module, (nn.Linear, nn.Embedding, Conv1D)):
            module.to(network.precision)


@torch.no_grad()
def mean_loss(
    network: Network,
    texts: Tensor,
    ranks: Ranks = ALONE,
    tell: Callable[[int], None] = lambda _: None,
    tokens: int = TOKENS,
) -> float:
    """Mean next-token loss (nats) over `texts` [n, T + 1], shared among the ranks.

    `tell` hears after each batch how many texts are done; tokens: of a batch. Raises ModelError
    for a loss that is not finite, with the name of the module where that began.
    """
    total, done = torch.zeros(2, dtype=torch.float64, device="cpu"), 0
    for batch in ranks.share(texts).split(max(1, tokens // (texts.shape[1] - 1))):
        if len(batch) == 0:  # more ranks than texts
            continue
        loss = _summed_loss(network, batch)
        if not math.isfinite(loss):
            with finite_outputs(network.model):
                _summed_loss(network, batch)
            raise ModelError("the loss is not finite: the weights of the model are damaged")
        total[0] += loss
        total[1] += batch[:, 1:].numel()
        done += len(batch)
        tell(done)
    ranks.average([total])
    return float(total[0] / total[1])


def _summed_loss(network: Network, texts: Tensor) -> float:
    """Summed next-token loss of texts [B, T + 1]."""
    total = 0.0
    with network.autocast():
        states, targets = network.hidden(texts[:, :-1]).flatten(0, 1), texts[:, 1:].flatten()
        parts = zip(states.split(network.rows()), targets.split(network.rows()), strict=True)
        for part, wanted in parts:
            losses = functional.cross_entropy(network.logits(part), wanted, reduction="none")
            total += losses.double().sum().item()
    return total
