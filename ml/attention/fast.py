"""The hardware's attention for training: any number of tokens, nothing T x T, nothing kept twice.

`attention_kernel.c` does the work, compiled on first use, on the CPU. On other devices, without a C
compiler, and for geometries that it cannot take, `exact_attention` does, more slowly and with more
memory.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from analog_models.physics import Ops
from analog_models.spec import HardwareSpec
from ml.attention.exact import check_inputs, exact_attention
from ml.attention.kernel import REALS, TABLES, KernelPlan, call, kernel
from ml.attention.separable_leakage import separable_leakage
from ml.attention.surrogate import CLIP_LEAK, SurrogateOps

# Largest error of a leakage factor, in float32: of values, of the pulses of which gradients are
# computed, and of gradients.
VALUE_TOLERANCE, PULSE_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 2e-4, 2e-2


class Plan:
    """The kernel's plan for one specification, and the tables that it points to."""

    def __init__(self, spec: HardwareSpec, dtype: torch.dtype) -> None:
        self.spec, self.dtype = spec, dtype
        single = dtype == torch.float32
        split = separable_leakage(spec, VALUE_TOLERANCE if single else 0.0)
        geometry = spec.geometry
        self.library = split and kernel(dtype, geometry.subtile, geometry.head_dim)
        if split is None or self.library is None:
            return
        converter, t_clk_ps = spec.converter, spec.clock.t_clk_ps
        scores = 1.0 / (spec.levels.q_max * converter.s_sat)  # a full-scale pulse is 1
        counts = converter.t_max_ps / (converter.a_sat * t_clk_ps)
        tables = (split.places, split.mix * scores, split.mix * counts)
        self.tables = {
            name: x.to(dtype).contiguous() for name, x in zip(TABLES, tables, strict=True)
        }
        self.fields = {
            "rows": geometry.subtile,
            "dim": geometry.head_dim,
            "laps": geometry.subtiles,
            "powers": len(spec.cell_polynomial),
            "ranks": len(split.places),
            "pulse_ranks": split.ranks_for(PULSE_TOLERANCE if single else 0.0),
            "gradient_ranks": split.ranks_for(GRADIENT_TOLERANCE if single else 0.0),
            "step_v": spec.kv_step_v,
            "asymptote_v": spec.leakage.asymptote_v,
            "width_max": converter.t_max_ps / t_clk_ps,
            "count_max": spec.levels.count_max,
            "leak": CLIP_LEAK,
            **{name: x.data_ptr() for name, x in self.tables.items()},
        }

    def of(self, q: Tensor) -> KernelPlan:
        """The plan for queries [head, block, group, row, D]."""
        return KernelPlan(blocks=q.shape[1], group=q.shape[2], **self.fields)


plan_of = lru_cache(maxsize=8)(Plan)  # every layer of every step asks for the same


class _Blockwise(torch.autograd.Function):
    """q [head, block, group, row, D], k and v [head, block, row, D]: codes like q."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        assert plan.library is not None
        ctx.plan = plan
        ctx.save_for_backward(q, k, v)
        out = torch.zeros_like(q)
        turned = (x.mT.contiguous() for x in (k, v))
        call(plan.library.attend, plan.of(q), q, k, v, *turned, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor, Tensor]:
        plan: Plan = ctx.plan
        assert plan.library is not None
        q, k, v = ctx.saved_tensors
        dq, dk, dv = (torch.zeros_like(x) for x in (q, k, v))
        codes = (q, k, v, *(x.mT.contiguous() for x in (k, v)))
        call(plan.library.attend_backward, plan.of(q), *codes, grads[0].contiguous(), dq, dk, dv)
        return None, dq, dk, dv


def fast_attention(
    spec: HardwareSpec, q: Tensor, k: Tensor, v: Tensor, ops: Ops | None = None
) -> Tensor:
    """Output codes of sequences of any length that start with an empty window, for training.

    q: [..., Hq, T, D] codes, k and v: [..., Hkv, T, D], whole numbers in float32 or float64; Hq =
    g * Hkv, and query heads i*g ... i*g + g - 1 share key and value head i. Returns
    [..., Hq, T, D]. Values and gradients are those of `attend.causal_attention` with
    `SurrogateOps` (`ops` is there for that signature), in float32 with the tolerances above.
    Raises `CodeError` for shapes that do not fit, `SpecError` for imperfect hardware.
    """
    check_inputs(spec, q, k, v)
    fits = q.dtype in REALS and q.dtype == k.dtype == v.dtype and q.device.type == "cpu"
    plan = plan_of(spec, q.dtype) if fits else None
    if plan is None or plan.library is None:
        return exact_attention(spec, q, k, v, SurrogateOps())
    tokens, rows, group = q.shape[-2], spec.geometry.subtile, q.shape[-3] // k.shape[-3]
    # Queries past the end see what there is, and nobody sees the keys past it.
    q_blocks, k_blocks, v_blocks = (
        pad(x, (0, 0, 0, -tokens % rows)).unflatten(-2, (-1, rows)) for x in (q, k, v)
    )
    by_head = q_blocks.reshape(-1, group, *q_blocks.shape[-3:]).transpose(1, 2).contiguous()
    keys = (x.reshape(-1, *x.shape[-3:]).contiguous() for x in (k_blocks, v_blocks))
    out: Tensor = _Blockwise.apply(plan, by_head, *keys)  # pyright: ignore[reportAssignmentType]
    return out.transpose(1, 2).flatten(2, 3)[:, :, :tokens].reshape(q.shape)
