"""Low-rank updates of frozen layers (Hu et al. 2021): y = W x + U D x, U and D of a small rank.

They stand beside the frozen weight while a model trains and are added to it afterwards.
"""

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ml.errors import SettingError
from ml.models.network import Network


class LowRank(nn.Module):
    """A linear layer with an update of rank `rank`, which starts at zero."""

    def __init__(self, base: nn.Linear | Conv1D, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base
        weight = base.weight if isinstance(base, nn.Linear) else base.weight.T
        size_out, size_in = weight.shape
        if not 1 <= rank <= min(size_in, size_out):
            raise SettingError(f"mlp_rank is {rank}, must be 1 to {min(size_in, size_out)}")
        down = torch.randn(rank, size_in, generator=generator, device=generator.device)
        self.down = nn.Parameter(down.to(weight.device) / size_in**0.5)
        self.up = nn.Parameter(torch.zeros(size_out, rank, device=weight.device))

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return self.base(x) + (x @ self.down.T) @ self.up.T

    @torch.no_grad()
    def merged(self) -> nn.Linear | Conv1D:
        """The layer with the update in its weight."""
        update = (self.up.double() @ self.down.double()).to(self.base.weight.dtype)
        self.base.weight.add_(update if isinstance(self.base, nn.Linear) else update.T)
        return self.base


def _multilayer_perceptrons(network: Network) -> list[nn.Module]:
    return [
        module for block in network.blocks for n, module in block.named_children() if n == "mlp"
    ]


def add_low_rank(network: Network, rank: int, seed: int) -> None:
    """Give every linear layer of the MLPs an update of `rank`."""
    generator = torch.Generator().manual_seed(seed)
    for mlp in _multilayer_perceptrons(network):
        for name, module in list(mlp.named_children()):
            if isinstance(module, (nn.Linear, Conv1D)):
                mlp.add_module(name, LowRank(module, rank, generator))


def merge_low_rank(network: Network) -> None:
    """Put every update into its weight and take the layers of before."""
    for mlp in _multilayer_perceptrons(network):
        for name, module in list(mlp.named_children()):
            if isinstance(module, LowRank):
                mlp.add_module(name, module.merged())
