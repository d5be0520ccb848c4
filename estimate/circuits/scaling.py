"""Technology scaling of synthesised logic to another node.

Where both nodes are in it, the polynomials and the area table that Stillmaker and Baas fitted to
SPICE runs of predictive models (Integration 58, 74-81, 2017), linear between nodes. Beyond, the
plain rule: capacitance with the node and energy with C V^2, area with the node squared.
"""

from typing import NamedTuple

__all__ = ["Factors", "scale_logic"]

# Energy of a gate relative to others: a V^2 + b V + c; area relative to 45 nm.
FITTED: dict[float, tuple[tuple[float, float, float], float]] = {
    45e-9: ((1.103, -0.362, 0.2767), 1.0),
    32e-9: ((0.9559, -0.7823, 0.471), 0.46),
    20e-9: ((0.373, -0.1582, 0.04104), 0.21),
}


class Factors(NamedTuple):
    """What energy and area are multiplied by, and how they were found."""

    energy: float
    area: float
    method: str


def scale_logic(from_m: float, from_v: float, to_m: float, to_v: float) -> Factors:
    """From a node in m and a supply in V to another."""
    inside = min(FITTED) <= min(from_m, to_m) and max(from_m, to_m) <= max(FITTED)
    if inside:
        before, after = _fitted(from_m, from_v), _fitted(to_m, to_v)
        energy, area = (new / old for new, old in zip(after, before, strict=True))
        return Factors(energy, area, "fitted (Stillmaker, Baas 2017)")
    shrink = to_m / from_m
    return Factors(shrink * (to_v / from_v) ** 2, shrink**2, "plain rule: C V^2")


def _fitted(node_m: float, volts: float) -> tuple[float, float]:
    """Relative energy and area at a node, linear between those of the table."""
    nodes = sorted(FITTED)
    above = next(node for node in nodes if node >= node_m)
    below = next(node for node in reversed(nodes) if node <= node_m)
    share = 0.0 if above == below else (node_m - below) / (above - below)

    def at(node: float) -> tuple[float, float]:
        (a, b, c), area = FITTED[node]
        return a * volts**2 + b * volts + c, area

    energy, area = (
        low + share * (high - low) for low, high in zip(at(below), at(above), strict=True)
    )
    return energy, area
