"""Data parallelism: each rank computes its rows of every batch, and averages make it one run.

`torchrun --nproc-per-node N -m ...` starts the ranks and tells each who it is. They talk over gloo.
Gradients are averaged by hand and not by DistributedDataParallel, because a loss may run backwards
layer by layer. Only rank 0 writes; all read the same folder.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

from ml.errors import SettingError

PATIENCE = timedelta(hours=4)  # the others wait while rank 0 works alone


@dataclass(frozen=True)
class Ranks:
    """The process among `size` of them; alone by default."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """The rows of this rank, of [n, ...]: as many as the others have, or one more."""
        return rows.tensor_split(self.size)[self.rank]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each of `tensors`, of one dtype, by its mean over all ranks."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        _unflatten(flat.div_(self.size), tensors)

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Give every rank `tensors`, of one dtype, of which rank r has made r, r + size, ..."""
        for rank in range(self.size if self.size > 1 else 0):
            share = tensors[rank :: self.size]
            if not share:
                continue
            flat = torch.cat([tensor.flatten() for tensor in share])
            dist.broadcast(flat, rank)
            _unflatten(flat, share)

    def wait(self) -> None:
        """Until all ranks have come here."""
        if self.size > 1:
            dist.barrier()

    def agree(self, value: int, what: str) -> None:
        """Raises SettingError unless `value` is the same on all ranks."""
        numbers = [float(value), float(value) ** 2]
        mean = torch.tensor(numbers, dtype=torch.float64, device="cpu")
        self.average([mean])
        if mean[1] != mean[0] ** 2:
            raise SettingError(
                f"{what} is {value} on rank {self.rank} and another elsewhere: all ranks must see "
                "the same output folder; put it on a file system that they share"
            )


ALONE = Ranks()


def _unflatten(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Copy the parts of `flat` into `tensors`."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun started; without torchrun this process alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
