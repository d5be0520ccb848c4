"""The estimate as plain text tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.tables import table

__all__ = ["quantity", "show"]

PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def quantity(value: float, unit: str) -> str:
    """A number with a prefix: 65 ns, 0.5 mm2. Plain numbers have four digits."""
    if not unit:
        return f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}"
    if unit == "m2":
        return f"{value * 1e6:,.4g} mm2"
    if value >= 1e3:
        return f"{value:,.4g} {unit}"
    scale, prefix = next((p for p in PREFIXES if abs(value) >= p[0] * 0.9995), PREFIXES[-1])
    return f"{value / scale:.4g} {prefix}{unit}"


def show(tree: Mapping[str, Any]) -> str:
    """All tables of `Estimate.to_tree`."""
    parts = (_heads, _published, _consistency, _digital, _gpus, _systems, _peers)
    return "\n\n".join(block for part in parts for block in part(tree))


def _heads(tree: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for name, head in tree["heads"].items():
        ours, published = (head["energy_j"][basis]["value"] for basis in ("synthesis", "published"))
        rows.append(
            [
                name,
                head["cycles"]["latency"],
                head["cycles"]["between"],
                quantity(head["latency_s"], "s"),
                quantity(ours, "J"),
                quantity(published, "J"),
                quantity(head["area_m2"]["value"], "m2"),
                quantity(head["leakage_w"], "W"),
            ]
        )
    header = ["schedule", "cycles", "between", "latency", "energy", "with published 4 nJ", "area"]
    yield "one token and head, window full, activity of real text:\n" + table(
        [*header, "leakage"], rows
    )
    for name, head in tree["heads"].items():
        parts = head["energy_j"]["synthesis"]["parts"]
        rows = [[part["name"], quantity(part["value"], "J")] for part in parts]
        yield table([f"energy, {name}", ""], rows)
        break


def _published(tree: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [
            row["name"],
            quantity(row["ours"], row["unit"]),
            quantity(row["published"], row["unit"]),
            f"{row['ratio']:.3f}",
            f"{row['tolerance']:.0%}" if row["tolerance"] >= 0.01 else f"{row['tolerance']:.1%}",
            "calibrated" if row["calibrated"] else "predicted",
            "yes" if row["within"] else "NO",
        ]
        for row in tree["published"]
    ]
    header = ["published figure", "ours", "published", "ratio", "tolerance", "kind", "within"]
    yield table(header, rows)


def _consistency(tree: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [
            item["name"],
            quantity(item["stated"], item["unit"]),
            quantity(item["computed"], item["unit"]),
            f"{item['ratio']:.3f}",
            item["arithmetic"],
        ]
        for item in tree["consistency"]
    ]
    lines = table(["published figures among themselves", "stated", "computed", "ratio", ""], rows)
    remarks = "\n".join(f"  {item['name']}: {item['remark']}" for item in tree["consistency"])
    yield f"{lines}\n{remarks}"


def _digital(tree: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [name, *(quantity(of[key], "J") for key in ("cells_j", "energy_j", "published_j"))]
        for name, of in tree["digital"].items()
    ]
    header = ["digital part, scaled from", "cells", "with wires and buffer", "published"]
    yield table(header, rows)


def _gpus(tree: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [
            row["gpu"],
            quantity(row["roofline_s"], "s"),
            row["bound_by"],
            quantity(row["measured_s"], "s") if "measured_s" in row else "-",
            f"{row['share_of_roofline']:.0%}" if "measured_s" in row else "-",
            f"{row['measured_w']:.3g} of {row['board_w']:g} W" if "measured_s" in row else "-",
            f"{row['speed_up_over_roofline']:,.0f}",
        ]
        for row in tree["gpus"]
    ]
    header = ["attention of 12 heads", "roofline", "bound by", "published", "of roofline", "power"]
    yield table([*header, "speed-up over roofline"], rows)


def _systems(tree: Mapping[str, Any]) -> Iterator[str]:
    header = ["model, engine", "length", "window", "batch", "step", "attention", "token"]
    header += ["attention", "prefill", "chips", "retention", "H100 step", "H100 token"]
    for name, systems in tree["systems"].items():
        rows = [
            [
                f"{row['model']}, {row['engine']}"
                + (f", {row['schedule']}" if name == "schedules" else ""),
                row["length"],
                row["window"],
                row["batch"],
                quantity(row["step_s"], "s"),
                f"{row['decode_s']['attention'] / row['step_s']:.2%}",
                quantity(row["token_j"], "J"),
                f"{row['decode_j']['attention'] / row['token_j']:.2%}",
                quantity(row["prefill_s"], "s"),
                row["chips"],
                "-" if row["tau_needed_s"] is None else quantity(row["tau_needed_s"], "s"),
                quantity(row["gpu_step_s"], "s"),
                quantity(row["gpu_token_j"], "J"),
            ]
            for row in systems
        ]
        yield f"whole models, by {name} (schedule {systems[0]['schedule']}):\n" + table(
            header, rows
        )


def _peers(tree: Mapping[str, Any]) -> Iterator[str]:
    def cell(row: Mapping[str, Any], key: str, scale: float) -> str:
        return f"{row[key] / scale:,.3g}" if key in row else "-"

    rows = [
        [
            row["name"],
            row["node_nm"] or "-",
            row["evidence"],
            cell(row, "op_per_s_w", 1e12),
            cell(row, "op_per_s_m2", 1e18),
            cell(row, "query_j", 1e-9),
            cell(row, "query_s", 1e-9),
        ]
        for row in tree["peers"]
    ]
    header = ["system", "nm", "evidence", "TOPS/W", "TOPS/mm2", "nJ/query", "ns/query"]
    yield table(header, rows)
