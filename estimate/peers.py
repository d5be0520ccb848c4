"""Published figures of systems that do the same or a part of it, beside ours.

Nodes, number formats and what is counted differ: the table places, it does not rank.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from common.errors import ArtefactError
from common.files import read_json
from common.records import Record
from estimate.gpu import attention_work
from estimate.head import Head
from estimate.measured import Activity
from estimate.quantities import preset_path

__all__ = ["load_peers", "peers"]

Figure = Annotated[float, Field(gt=0, le=1e30)]


class Peer(Record):
    """A published system, in SI units; what is absent has not been published."""

    model_config = ConfigDict(extra="forbid")

    name: str
    what: str
    node_nm: Annotated[float, Field(gt=0, le=1e5)] | None
    evidence: str
    source: str
    note: str = ""
    op_per_s_w: Figure = Field(default=0.0)
    op_per_s_m2: Figure = Field(default=0.0)
    query_j: Figure = Field(default=0.0)
    query_s: Figure = Field(default=0.0)
    area_m2: Figure = Field(default=0.0)


def load_peers(path: Path) -> list[dict[str, Any]]:
    """Rows of a file. Raises `ArtefactError`, naming field, value and what is needed."""
    rows = read_json(path)
    if not isinstance(rows, list):
        raise ArtefactError(f"{path}: needs a list of systems, has {type(rows).__name__}")
    for number, row in enumerate(rows):
        Peer.of(row, f"{path}: [{number}]")
    return rows


def peers(head: Head, activity: Activity) -> list[dict[str, Any]]:
    """The published rows, then this project's head on both bases.

    op_per_s_w, op_per_s_m2: operations, a multiplication and an addition being two, per second and
    W or m2; query_j, query_s: of one query; all in SI units, absent where not published.
    """
    rows = load_peers(preset_path("peers"))
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
