"""Payloads of the token stream and of the result stream."""

from amaranth import Shape, signed, unsigned
from amaranth.lib import data

from analog_models.spec import HardwareSpec

__all__ = ["result_layout", "token_layout"]


def token_layout(spec: HardwareSpec) -> data.StructLayout:
    """One token: codes of its query, key and value, and two flags.

    `flush`: the token starts a new sequence in an empty window. `query_only`: a further query on
    the window as it is, for grouped queries: its `k`, `v` and `flush` mean nothing.
    """
    dim = spec.geometry.head_dim
    q_shape = unsigned(spec.levels.q_max.bit_length())
    kv_shape = unsigned(spec.levels.kv_max.bit_length())
    return data.StructLayout(
        {
            "flush": unsigned(1),
            "query_only": unsigned(1),
            "q": data.ArrayLayout(q_shape, dim),
            "k": data.ArrayLayout(kv_shape, dim),
            "v": data.ArrayLayout(kv_shape, dim),
        }
    )


def result_layout(spec: HardwareSpec) -> data.ArrayLayout:
    """One result: an output code per dimension, the sum of the sub-tiles' signed counts."""
    width = Shape.cast(range(-spec.out_max, spec.out_max + 1)).width
    return data.ArrayLayout(signed(width), spec.geometry.head_dim)
