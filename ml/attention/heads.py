"""The gain-cell heads of one layer of a pretrained model, with what stands around the arrays.

Per head, from row vectors q, k, v as the model computes them (q and k after rotary positions):
code = round(full scale * (x @ mix + offset)), limited to the range, and
output = count / full count * scale + offset. The mix is a matrix [D, D] for queries and keys, which
costs the digital side D multiplications per channel and token, or one scale per channel; values
and outputs have one scale per channel, which folds into the projections around it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from analog_models.physics import Ops
from analog_models.spec import HardwareSpec
from ml.attention.backend import DEFAULT, Backend
from ml.attention.precision import whole_numbers
from ml.attention.surrogate import SurrogateOps
from ml.errors import ModelError


class GainCellHeads(nn.Module):
    """Query heads [Hq] that share key and value heads [Hkv] on the hardware of `spec`.

    Starts as the naive map: q as it is, k and v around the middle of their range. `mixing` gives
    queries and keys a matrix per head instead of a scale per channel.

    Attributes:
        backend: computes output codes from codes; `use` gives a model one.
        layer: number of the layer that the heads are of, as `use` has counted.
    """

    mix_q: nn.Parameter
    mix_k: nn.Parameter
    scaler_q: nn.Parameter
    scaler_k: nn.Parameter
    scaler_v: nn.Parameter
    scaler_out: nn.Parameter
    offset_q: nn.Parameter
    offset_k: nn.Parameter
    offset_v: nn.Parameter
    offset_out: nn.Parameter

    def __init__(
        self,
        spec: HardwareSpec,
        query_heads: int,
        kv_heads: int,
        mixing: bool = True,
        ops: Ops | None = None,
    ) -> None:
        super().__init__()
        self.spec, self.mixing = spec, mixing
        self.query_heads, self.kv_heads = query_heads, kv_heads
        self.ops: Ops = ops or SurrogateOps()
        self.backend: Backend = DEFAULT
        self.layer = 0
        dim = spec.geometry.head_dim
        shapes = {"q": query_heads, "k": kv_heads, "v": kv_heads, "out": query_heads}
        middles = {"q": 0.0, "k": 0.5, "v": 0.5, "out": 0.0}
        for name, heads in shapes.items():
            if mixing and name in ("q", "k"):
                self.register_parameter(
                    f"mix_{name}", nn.Parameter(torch.eye(dim).repeat(heads, 1, 1))
                )
            else:
                self.register_parameter(f"scaler_{name}", nn.Parameter(torch.ones(heads, dim)))
            self.register_parameter(
                f"offset_{name}", nn.Parameter(torch.full((heads, dim), middles[name]))
            )

    def analog(self, name: str, x: Tensor) -> Tensor:
        """Signal `name` [..., H, T, D] before rounding, in units of its full scale.

        Raises ModelError for a signal that is not where the heads are.
        """
        offset = self.get_parameter(f"offset_{name}")[:, None].to(x.dtype)
        if offset.device != x.device:
            raise ModelError(
                f"signal {name} is on {x.device}, the heads on {offset.device}: keep each layer on "
                "one device; weights that are offloaded to cpu or disk serve only without a cache, "
                "use_cache=False"
            )
        if self.mixing and name in ("q", "k"):
            return x @ self.get_parameter(f"mix_{name}").to(x.dtype) + offset
        return x * self.get_parameter(f"scaler_{name}")[:, None].to(x.dtype) + offset

    def encode(self, name: str, x: Tensor) -> Tensor:
        """Codes of signal `name` [..., H, T, D], whole numbers in at least single precision."""
        full = self.spec.levels.full_scale[name]
        with whole_numbers(x):
            exact = x if x.dtype == torch.float64 else x.float()
            return self.ops.clip(self.ops.quantise(full * self.analog(name, exact)), 0, full)

    def codes(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes of q [..., Hq, T, D], k and v [..., Hkv, T, D]."""
        return self.encode("q", q), self.encode("k", k), self.encode("v", v)

    def counts(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Output codes [..., Hq, T, D] for codes of sequences that start with an empty window."""
        with whole_numbers(q):
            return self.backend.attend(self.layer, self.spec, q, k, v)

    def latest_counts(
        self, q: Tensor, k: Tensor, v: Tensor, starts: Tensor | None = None
    ) -> Tensor:
        """Output codes of the latest tokens alone, of the type of q; as `Backend.attend_latest`."""
        with whole_numbers(q):
            return self.backend.attend_latest(self.layer, self.spec, q, k, v, starts).to(q.dtype)

    def decode(self, out: Tensor) -> Tensor:
        """Output codes [..., Hq, T, D] -> the output of the heads."""
        return self.analog("out", out / self.spec.levels.full_scale["out"])

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries [..., Hq, T, D], keys and values [..., Hkv, T, D] -> [..., Hq, T, D]."""
        return self.decode(self.counts(*self.codes(q, k, v))).to(q.dtype)


def heads_of(model: nn.Module) -> list[GainCellHeads]:
    """The gain-cell heads of a model, layer by layer."""
    return [m for m in model.modules() if isinstance(m, GainCellHeads)]


def use(model: nn.Module, backend: Backend) -> None:
    """Let `backend` compute the output codes of all heads of a model, from now on."""
    for number, heads in enumerate(heads_of(model)):
        heads.backend, heads.layer = backend, number


@contextmanager
def using(model: nn.Module, backend: Backend) -> Iterator[None]:
    """Inside, `backend` computes the output codes of all heads of `model`; then what did before."""
    layers = heads_of(model)
    before = [heads.backend for heads in layers]
    use(model, backend)
    try:
        yield
    finally:
        for heads, own in zip(layers, before, strict=True):
            heads.backend = own
