"""The published figures beside ours, and beside one another.

A row whose figure was used to choose a parameter, or that only computes with such figures, is
`calibrated`: it comes back out and counts as nothing. `consistency` says where the paper's own
numbers do not agree.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from estimate.breakdown import Breakdown
from estimate.gpu import Gpu, attention_work, gpus
from estimate.head import Head
from estimate.measured import Activity
from estimate.quantities import Table
from estimate.references import PUBLISHED

__all__ = ["Consistency", "Row", "consistency", "gpu_title", "oxide_arrays_m2", "published_rows"]

ROUNDING, CUT_OFF = "rounding", "cut off after the first digit"
"""Remarks of figures that differ in their digits only; all others contradict each other."""
GPU_TITLES = {"jetson_nano": "Jetson Nano", "rtx4090": "RTX 4090", "h100": "H100"}


def gpu_title(name: str) -> str:
    """What a GPU of the table is called."""
    return GPU_TITLES.get(name, name)


@dataclass(frozen=True)
class Row:
    """One published figure.

    tolerance: how far the ratio may be from 1. calibrated: the figure went into the estimate. how:
    where ours comes from.
    """

    name: str
    unit: str
    ours: float
    published: float
    tolerance: float
    calibrated: bool
    how: str

    @property
    def ratio(self) -> float:
        return self.ours / self.published

    @property
    def within(self) -> bool:
        return abs(self.ratio - 1) <= self.tolerance

    def to_tree(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ratio": self.ratio, "within": self.within}


@dataclass(frozen=True)
class Consistency:
    """Two published figures that should give the same; arithmetic: how the second comes out."""

    name: str
    unit: str
    stated: float
    computed: float
    arithmetic: str
    remark: str

    @property
    def ratio(self) -> float:
        return self.computed / self.stated

    def to_tree(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ratio": self.ratio}


def published_rows(head: Head, activity: Activity) -> list[Row]:
    """All published figures of cost; head: of the paper, its circuits calibrated."""
    energy = head.token_energy(activity, "published")
    return [
        *_head_rows(head, energy),
        *_oxide_rows(head),
        *_gpu_rows(head, energy),
    ]


def _head_rows(head: Head, energy: Breakdown) -> Iterator[Row]:
    p = PUBLISHED
    sums = "three pulses are published; write, reset and settle were chosen so that the sum is 65"
    yield Row("latency of a token", "s", head.latency_s, p["head.latency_s"], 0.001, True, sums)
    solved = "solved for the charge of a cell, cell.unit_charge_c"
    parts = [
        ("first product", "head.first_product_j", 0.001, True, solved),
        ("second product", "head.second_product_j", 0.25, False, "from the charge of a cell"),
        ("DACs", "head.dac_j", 0.25, False, "class-A buffers that are never switched off"),
        ("digital control and routing", "head.digital_j", 0.001, True, "taken as it is"),
    ]
    for name, key, tolerance, calibrated, how in parts:
        ours = energy.part(name).value
        yield Row(f"energy of {name}", "J", ours, p[key], tolerance, calibrated, how)
    how = "the sum; four fifths of it are calibrated"
    yield Row("energy of a token", "J", energy.value, p["head.token_j"], 0.1, True, how)
    how = "arrays, gates, and capacitors that hold the saturating charge"
    yield Row("area of a head", "m2", head.area().value, p["head.area_m2"], 0.3, False, how)


def oxide_arrays_m2(head: Head, layers: int | None = None) -> float:
    """K and V arrays of a head in oxide-semiconductor cells, on logic or in stacked layers."""
    geometry, circuits = head.spec.geometry, head.circuits
    density = circuits[f"oxide_cell.{'density_of_layer' if layers else 'density_on_logic'}"]
    cell_m2 = circuits["oxide_cell.gain_cells"] * circuits["oxide_cell.sram_cell_m2"] / density
    return 2 * geometry.window * geometry.head_dim * cell_m2 / (layers or 1)


def _oxide_rows(head: Head) -> Iterator[Row]:
    p = PUBLISHED
    how = "density of oxide gain cells against SRAM (IEDM 2023), three to a signed cell"
    layers = round(p["oxide.layers"])
    ours = oxide_arrays_m2(head)
    yield Row("oxide K and V arrays", "m2", ours, p["oxide.arrays_m2"], 0.15, False, how)
    name, ours = f"oxide arrays in {layers} layers", oxide_arrays_m2(head, layers)
    yield Row(name, "m2", ours, p["oxide.stacked_m2"], 0.25, False, how)


def _gpu_rows(head: Head, energy: Breakdown) -> Iterator[Row]:
    """Speed-ups and energy reductions; the H100 from what the RTX 4090 makes of its peak."""
    p = PUBLISHED
    ours_j = p["comparison.heads"] * energy.value
    work = attention_work(*(round(p[f"comparison.{k}"]) for k in ("heads", "window")))
    reached = gpus()["rtx4090"].seconds(work) / p["rtx4090.token_s"]
    power_share = _watts(p, "rtx4090") / gpus()["rtx4090"].board_w
    for key, title in GPU_TITLES.items():
        measured = f"{key}.token_s" in p
        if measured:
            token_s, token_j = p[f"{key}.token_s"], p[f"{key}.token_j"]
            how = "the published time and energy of the GPU by ours"
        else:
            gpu: Gpu = gpus()[key]
            token_s = gpu.seconds(work) / reached
            token_j = token_s * gpu.board_w * power_share
            how = (
                f"no time or energy is published: as far from its bandwidth ({reached:.0%}) and "
                f"from its board power ({power_share:.0%}) as the RTX 4090"
            )
        speed_up, reduction = p[f"{key}.speed_up"], p[f"{key}.energy_reduction"]
        ours = token_s / head.latency_s
        yield Row(f"speed-up over {title}", "", ours, speed_up, 0.2, measured, how)
        name = f"energy reduction over {title}"
        yield Row(name, "", token_j / ours_j, reduction, 0.2 if measured else 0.4, measured, how)


def _watts(p: Table, key: str) -> float:
    return p[f"{key}.token_j"] / p[f"{key}.token_s"]


def one_digit(value: float) -> float:
    """Cut off after the first digit."""
    digit = 10 ** math.floor(math.log10(value))
    return math.floor(value / digit) * digit


def consistency() -> list[Consistency]:
    """Where the paper gives the same quantity twice, or enough to compute one."""
    return [*_head_consistency(), *_gpu_consistency()]


def _head_consistency() -> Iterator[Consistency]:
    p = PUBLISHED
    keys = ("first_product_j", "second_product_j", "digital_j", "dac_j")
    parts = [p[f"head.{key}"] for key in keys]
    token_j, latency_s, digital_w = p["head.token_j"], p["head.latency_s"], p["head.digital_w"]
    terms = " + ".join(f"{part * 1e12:,.0f}" for part in parts)
    yield Consistency(
        "energy of a token from its parts", "J", token_j, sum(parts), f"{terms} pJ", ROUNDING
    )
    yield Consistency(
        "digital energy from its power",
        "J",
        p["head.digital_j"],
        digital_w * latency_s,
        f"{digital_w * 1e3:.1f} mW x {latency_s * 1e9:.0f} ns",
        f"4 nJ are {p['head.digital_j'] / digital_w * 1e9:.1f} ns of this power, not 65 ns",
    )
    yield Consistency(
        "power of the whole head against that of its digital part",
        "W",
        digital_w,
        token_j / latency_s,
        f"{token_j * 1e9:.1f} nJ / {latency_s * 1e9:.0f} ns",
        "the whole is less than one of its parts: the part cannot be on all the time",
    )
    layers = p["oxide.layers"]
    yield Consistency(
        "area of the stacked arrays",
        "m2",
        p["oxide.stacked_m2"],
        p["oxide.stack_m2"] / layers,
        f"{p['oxide.stack_m2'] * 1e6 * 1e3:.1f}e-3 mm2 / {layers:.0f}",
        ROUNDING,
    )


def _gpu_consistency() -> Iterator[Consistency]:
    p = PUBLISHED
    latency_s, heads = p["head.latency_s"], p["comparison.heads"]
    heads_j = heads * p["head.token_j"]
    for key in ("rtx4090", "jetson_nano"):
        title, token_s, token_j = GPU_TITLES[key], p[f"{key}.token_s"], p[f"{key}.token_j"]
        pairs = (
            ("speed-up", p[f"{key}.speed_up"], token_s / latency_s,
             f"{token_s * 1e6:.2f} us / {latency_s * 1e9:.0f} ns"),
            ("energy reduction", p[f"{key}.energy_reduction"], token_j / heads_j,
             f"{token_j * 1e3:.3f} mJ / ({heads:.0f} x {p['head.token_j'] * 1e9:.1f} nJ)"),
        )  # fmt: skip
        for kind, stated, computed, arithmetic in pairs:
            cut = one_digit(computed) == stated
            remark = CUT_OFF if cut else "more than rounding"
            yield Consistency(f"{kind} over {title}", "", stated, computed, arithmetic, remark)
    most_s = latency_s * p["h100.speed_up"]
    implied_w = p["h100.energy_reduction"] * heads_j / most_s
    yield Consistency(
        "power of the H100 against its board power",
        "W",
        gpus()["h100"].board_w,
        implied_w,
        f"{p['h100.energy_reduction']:,.0f} x {heads_j * 1e9:.1f} nJ / "
        f"({p['h100.speed_up']:.0f} x {latency_s * 1e9:.0f} ns)",
        "both factors together ask for more than the board takes",
    )
