"""How busy the signals of a head are on real text: what an energy estimate multiplies with.

    python -m cosim.activity [--tokens N] [--golden DIR] [--build DIR]

Every head of the shipped model runs the golden passage in the numpy model, whose pulses and counts
the RTL gives, too (`make verify`). Written are the mean over the heads and its range.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from analog_models.head import TokenTrace
from analog_models.spec import HardwareSpec, load_preset
from common.arguments import natural
from common.errors import run_command
from common.files import write_json
from common.provenance import provenance
from common.tables import table
from cosim.arguments import command_parser
from cosim.reference.comparison import golden_traces
from cosim.reference.golden_streams import Stream, load_golden

__all__ = ["head_activity", "stream_activity"]


def stream_activity(spec: HardwareSpec, stream: Stream) -> dict[str, dict[str, float]]:
    """`head_activity` of every sequence of a stream: mean, lowest and highest, by name."""
    traces = [*golden_traces(spec, stream.job(spec))]
    stops = [*stream.first[1:], len(traces)]
    rows = []
    for start, stop in zip(stream.first, stops, strict=True):
        q, k, v = (getattr(stream, name)[start:stop] for name in "qkv")
        rows.append(head_activity(spec, q, k, v, traces[start:stop]))
    return {
        name: {
            "mean": float(np.mean([row[name] for row in rows])),
            "lowest": min(row[name] for row in rows),
            "highest": max(row[name] for row in rows),
        }
        for name in rows[0]
    }


def head_activity(
    spec: HardwareSpec, q: np.ndarray, k: np.ndarray, v: np.ndarray, traces: list[TokenTrace]
) -> dict[str, float]:
    """Mean activity of one sequence from an empty window that it does not overflow, by name.

    q, k, v: [token, d] codes; traces: what the head made of them. Duties are pulse widths as a
    share of the longest, `*_pulses` shares of signals with a pulse at all. Charges are in units of
    the cell transfer for a pulse of full length, per cell of a K column (`score_*`) or of a V
    column of a full sub-tile (`row_*`): `*_moved` is what a cell moves, either way, `*_net` its
    share of what remains of all cells, the converter's saturation included. `write_step` is the
    mean change of a DAC from one write to the next as a share of its range, `sign_changes` the
    share of output signs that change from one token to the next. Cells count as freshly written.
    """
    levels, geometry, t_max = spec.levels, spec.geometry, spec.converter.t_max_ps
    stored = np.arange(levels.kv) * spec.kv_step_v - spec.cell.v_zero_v
    moved = np.abs(np.polynomial.polynomial.polyval(stored, spec.cell.polynomial))
    width, counts, phi, score_moved, score_net, row_moved = ([] for _ in range(6))
    for token, trace in enumerate(traces):
        filled = token + 1
        pulse = trace.phi_ps[:filled] / t_max
        phi.append(pulse)
        score_moved.append(moved[k[:filled]] @ (q[token] / levels.q_max) / geometry.head_dim)
        score_net.append(np.abs(trace.score[:filled]) / levels.q_max / geometry.head_dim)
        row_moved.append(pulse[:, None] * moved[v[:filled]])
        full = filled // geometry.subtile
        width.append(trace.width_ps[:full].ravel() / t_max)
        counts.append(trace.counts[:full].ravel())
    used = [part for part in counts if len(part)]
    writes = np.stack([k, v], axis=1).reshape(-1, k.shape[1]) / levels.kv_max
    pulses, out_duty = np.concatenate(phi), float(np.abs(np.concatenate(width)).mean())
    return {
        "query_duty": float(q.mean() / levels.q_max),
        "query_pulses": float((q > 0).mean()),
        "score_moved": float(np.concatenate(score_moved).mean()),
        "score_net": float(np.concatenate(score_net).mean()),
        "phi_duty": float(pulses.mean()),
        "phi_pulses": float((pulses > 0).mean()),
        "row_moved": float(np.concatenate(row_moved).mean()),
        "row_net": out_duty * spec.converter.a_sat / geometry.subtile,
        "out_duty": out_duty,
        "out_pulses": float((np.concatenate(counts) != 0).mean()),
        "sign_changes": _sign_changes(used),
        "write_step": float(np.abs(np.diff(writes, axis=0)).mean()),
    }


def _sign_changes(counts: list[np.ndarray]) -> float:
    """Share of signs that differ from those of the token before."""
    negative = [part < 0 for part in counts]
    changed = [(a != b[: len(a)]).mean() for a, b in pairwise(negative)]
    return float(np.mean(changed)) if changed else 0.0


def main() -> int:
    """Command line: print the table and write `result.json`."""
    spec = load_preset()
    parser = command_parser("activity", __doc__)
    least = spec.geometry.subtile + 1  # so that some sub-tile is full, and its signs may change
    text = f"tokens of the passage, from {least} (all)"
    parser.add_argument("--tokens", type=natural(least), metavar="N", help=text)
    args = parser.parse_args()
    stream = load_golden(spec, args.golden).passage_stream(args.tokens)
    activity = stream_activity(spec, stream)
    rows = [
        [name, *(f"{of[end]:.4g}" for end in ("mean", "lowest", "highest"))]
        for name, of in activity.items()
    ]
    print(table([stream.name, "mean", "lowest head", "highest head"], rows))
    result: dict[str, Any] = {"spec_hash": spec.hash, "stream": stream.name, "activity": activity}
    result |= provenance(("numpy",))
    print(f"result: {write_json(args.build / 'activity' / 'result.json', result)}")
    return 0


if __name__ == "__main__":
    run_command(main)
