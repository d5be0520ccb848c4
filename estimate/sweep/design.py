"""Designs: points of the space, and the specification of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import NamedTuple

from analog_models.spec import HardwareSpec
from analog_models.spec.designs import with_levels
from common.errors import SpecError

__all__ = ["AXES", "Axes", "Design", "default_axes", "design_of", "spec_of"]


class Design(NamedTuple):
    """One design.

    schedule: its name in the specification. subtile: slots of a sub-tile. window: slots of all.
    q_levels, kv_levels: of queries, and of keys and values. out_bits: magnitude of a sub-tile's
    count. phi_step_ps: grid of pulse widths, the activation's first of all. leakage: decay per
    token.
    """

    schedule: str
    subtile: int
    window: int
    q_levels: int
    kv_levels: int
    out_bits: int
    phi_step_ps: int
    leakage: float


AXES = Design._fields


@dataclass(frozen=True)
class Axes:
    """The values of each axis, under the names of `Design`."""

    schedule: Sequence[str]
    subtile: Sequence[int]
    window: Sequence[int]
    q_levels: Sequence[int]
    kv_levels: Sequence[int]
    out_bits: Sequence[int]
    phi_step_ps: Sequence[int]
    leakage: Sequence[float]

    def designs(self) -> Iterator[Design]:
        """All combinations, each once."""
        values = (dict.fromkeys(getattr(self, field.name)) for field in fields(self))
        return (Design(*point) for point in product(*values))


def design_of(spec: HardwareSpec) -> Design:
    """`spec` itself, in the first of its schedules."""
    geometry, levels = spec.geometry, spec.levels
    return Design(
        next(iter(spec.schedules)),
        geometry.subtile,
        geometry.window,
        levels.q,
        levels.kv,
        levels.out_magnitude_bits,
        spec.grid.t_ps,
        spec.leakage.decay_per_token,
    )


def default_axes(spec: HardwareSpec) -> Axes:
    """Values around those of `spec`, which are among them."""
    here = design_of(spec)
    return Axes(
        schedule=list(spec.schedules),
        subtile=sorted({here.subtile // 4, here.subtile // 2, here.subtile, here.subtile * 2}),
        window=sorted({here.window, *(here.window // n for n in (32, 16, 8))}),
        q_levels=sorted({8, 16, here.q_levels}),
        kv_levels=sorted({4, 8, 16, here.kv_levels}),
        out_bits=sorted({3, 4, 5, here.out_bits}),
        phi_step_ps=[here.phi_step_ps],
        leakage=[here.leakage, 10 * here.leakage],
    )


def spec_of(base: HardwareSpec, design: Design) -> HardwareSpec:
    """`base` changed to `design`, which its one schedule is fitted to.

    The longest converter pulse grows with the largest count. Raises `SpecError` with the reason for
    a design that the specification refuses.
    """
    base.schedule_number(design.schedule)
    if design.window % design.subtile:
        raise SpecError(f"window = {design.window}: no multiple of subtile = {design.subtile}")
    return with_levels(
        base,
        design.q_levels,
        design.kv_levels,
        design.out_bits,
        design.schedule,
        geometry__subtile=design.subtile,
        geometry__subtiles=design.window // design.subtile,
        grid__t_ps=design.phi_step_ps,
        leakage__decay_per_token=design.leakage,
    )
