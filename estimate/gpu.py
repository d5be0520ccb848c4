"""A GPU as a roofline: it is bound by its arithmetic or by its memory, whichever is slower."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from estimate.models import LanguageModel
from estimate.quantities import ShippedTable, Table

__all__ = ["Gpu", "Work", "attention_work", "decode_work", "gpus"]

TABLE: Table = ShippedTable("gpus")


class Work(NamedTuple):
    """What a step asks for: floating-point operations, and bytes from memory."""

    flop: float
    bytes: float


@dataclass(frozen=True)
class Gpu:
    """Peak figures of a GPU."""

    peak_flop_per_s: float
    bandwidth_byte_per_s: float
    board_w: float

    def seconds(self, work: Work) -> float:
        """The least time that the work takes."""
        return max(work.flop / self.peak_flop_per_s, work.bytes / self.bandwidth_byte_per_s)

    def bound(self, work: Work) -> str:
        """What decides that time."""
        compute_s = work.flop / self.peak_flop_per_s
        return "arithmetic" if compute_s >= self.seconds(work) else "memory"


def attention_work(heads: int, window: int, head_dim: int = 64, kv_heads: int = 0) -> Work:
    """Both products of attention for one token: every key and value is read once.

    kv_heads: heads that have keys and values of their own; all of them by default.
    """
    kv_bytes = 2 * (kv_heads or heads) * window * head_dim * _number_bytes()
    return Work(4 * heads * window * head_dim, kv_bytes)


def decode_work(model: LanguageModel, window: int, batch: int) -> Work:
    """One token of each sequence of a batch: the weights are read once, every cache by itself."""
    shape = (model.heads, window, model.head_dim, model.kv_heads)
    attention = attention_work(*shape)
    sequences = batch * model.layers
    flop = 2 * model.weights * batch + attention.flop * sequences
    return Work(flop, model.weights * _number_bytes() + attention.bytes * sequences)


@cache
def gpus() -> dict[str, Gpu]:
    """The GPUs that ship with the estimate, by name."""
    names = dict.fromkeys(key.split(".")[0] for key in TABLE if not key.startswith("number"))
    fields = ("peak_flop_per_s", "bandwidth_byte_per_s", "board_w")
    return {name: Gpu(*(TABLE[f"{name}.{field}"] for field in fields)) for name in names}


def _number_bytes() -> float:
    """Of a weight, a key's and a value's component."""
    return TABLE["number.bytes"]
