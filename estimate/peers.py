"""Published figures of systems that do the same or a part of it, beside ours.

Nodes, number formats and what is counted differ: the table places, it does not rank.
"""

from typing import Any

from analog_models.files import read_json
from estimate.gpu import attention_work
from estimate.head import Head
from estimate.measured import Activity
from estimate.quantities import preset_path

__all__ = ["peers"]


def peers(head: Head, activity: Activity) -> list[dict[str, Any]]:
    """The published rows, then this project's head on both bases.

    op_per_s_w, op_per_s_m2: operations, a multiplication and an addition being two, per second and
    W or m2; query_j, query_s: of one query; all in SI units, absent where not published.
    """
    rows = read_json(preset_path("peers"))
    geometry = head.spec.geometry
    operations = attention_work(1, geometry.window, geometry.head_dim).flop
    for basis in ("published", "synthesis"):
        energy_j, area_m2 = head.token_energy(activity, basis).value, head.area().value
        rows.append(
            {
                "name": f"this project, {head.schedule}, digital part from {basis}",
                "what": "both products of attention, keys and values in gain cells",
                "node_nm": round(head.circuits["technology.node_m"] * 1e9),
                "evidence": "co-simulation, synthesis, analog estimate",
                "op_per_s_w": operations / energy_j,
                "op_per_s_m2": operations / head.period_s / area_m2,
                "query_j": energy_j,
                "query_s": head.latency_s,
                "area_m2": area_m2,
                "source": "estimate",
            }
        )
    return rows
