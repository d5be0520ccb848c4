"""What a sensitivity analysis varies: for each sweep its values, and the hardware at each."""

from collections.abc import Callable
from dataclasses import dataclass

from analog_models.spec import HardwareSpec, Imperfections, overlaid
from analog_models.spec.designs import changed, with_levels

OVERLAY = "typical"
MULTIPLES = (1.0, 2.0, 4.0, 8.0, 16.0)  # of an imperfection's typical size
SHORTEST = 8  # window


@dataclass(frozen=True)
class Sweep:
    """One quantity varied: `at(spec, value)` is the hardware; `here` is the preset's value, or an
    imperfection's typical one. `base`: of the logarithmic axis of a plot.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    here: float
    at: Callable[[HardwareSpec, float], HardwareSpec]
    base: int = 10
    imperfection: bool = False


def with_window(spec: HardwareSpec, window: float) -> HardwareSpec:
    """A window of so many slots: fewer sub-tiles, and below one sub-tile a shorter one."""
    rows = min(spec.geometry.subtile, int(window))
    return spec.replace(geometry__subtile=rows, geometry__subtiles=int(window) // rows)


def with_imperfections(spec: HardwareSpec, sizes: dict[str, float]) -> HardwareSpec:
    """These imperfections alone."""
    return changed(spec.ideal, **{f"imperfections__{name}": x for name, x in sizes.items()})


def sweeps(spec: HardwareSpec, context: int = 256) -> list[Sweep]:
    """All sweeps around `spec`, for texts of `context` tokens: a longer window changes nothing."""
    return [*_design(spec, context), *_imperfections(spec)]


def _design(spec: HardwareSpec, context: int) -> list[Sweep]:
    """Window, levels and leakage."""
    levels = spec.levels
    longest = max(SHORTEST, min(context, spec.geometry.window))
    windows = tuple(2**n for n in range(SHORTEST.bit_length() - 1, longest.bit_length()))
    counts = tuple(2**bits - 1 for bits in range(1, 7))
    decays = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

    def with_q(spec: HardwareSpec, n: float) -> HardwareSpec:
        return with_levels(spec, q=int(n))

    def with_kv(spec: HardwareSpec, n: float) -> HardwareSpec:
        return with_levels(spec, kv=int(n))

    def with_count(spec: HardwareSpec, n: float) -> HardwareSpec:
        return with_levels(spec, out_bits=int(n).bit_length())

    def leaking(spec: HardwareSpec, decay: float) -> HardwareSpec:
        return spec.replace(leakage__decay_per_token=decay)

    return [
        Sweep("window", "tokens", windows, spec.geometry.window, with_window, 2),
        Sweep("levels of q", "levels", (2, 4, 8, 16, 32, 64), levels.q, with_q, 2),
        Sweep("levels of k and v", "levels", (2, 4, 8, 16, 32), levels.kv, with_kv, 2),
        Sweep("largest output count", "counts", counts, levels.count_max, with_count, 2),
        Sweep("leakage", "1 / token", decays, spec.leakage.decay_per_token, leaking),
    ]


def _imperfections(spec: HardwareSpec) -> list[Sweep]:
    """Each imperfection of the overlay alone, then all of them at multiples of their sizes."""
    typical = overlaid(spec.ideal, OVERLAY)
    tree, off = typical.to_tree()["imperfections"], Imperfections().model_dump()
    sizes = {name: x["value"] for name, x in tree.items() if x["value"] != off[name]}

    def alone(name: str) -> Callable[[HardwareSpec, float], HardwareSpec]:
        return lambda spec, size: with_imperfections(spec, {name: size})

    found = [
        Sweep(
            name,
            tree[name]["unit"],
            tuple(multiple * size for multiple in MULTIPLES),
            size,
            alone(name),
            imperfection=True,
        )
        for name, size in sizes.items()
    ]
    together = Sweep(
        "all together",
        "x typical",
        MULTIPLES[:3],
        1.0,
        lambda spec, m: with_imperfections(spec, {name: m * size for name, size in sizes.items()}),
        imperfection=True,
    )
    return [*found, together]
