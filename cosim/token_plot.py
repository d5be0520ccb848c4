"""Plot of one token's life in a head."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analog_models.physics import count_pulses
from analog_models.spec import HardwareSpec
from common.plots import plot_file
from cosim.run.job import Job, Outcome

__all__ = ["plot_token"]

K_COLOUR, V_COLOUR, Q_COLOUR, PHI_COLOUR = "#1b6ca8", "#c8553d", "#3b7a57", "#7b4b94"
OUT_COLOUR = "#d9a441"
PANELS = """
    TTTT
    WWQQ
    SSSS
    PPPP
    CCOO
"""


def plot_token(
    spec: HardwareSpec, schedule: str, job: Job, outcome: Outcome, title: str, path: Path
) -> Path:
    """Draw the life of the job's last token from what the co-simulation saw, as a PNG."""
    with plot_file(path, 11, 12.5) as figure:
        panels = figure.subplot_mosaic(PANELS, height_ratios=[1, 1.3, 1, 1, 1.3])
        trace = outcome.trace
        _phases(panels["T"], spec, schedule)
        _writes(panels["W"], spec, job, int(trace["slot"]))
        _queries(panels["Q"], spec, schedule, trace["q"])
        _scores(panels["S"], spec, trace["score"])
        _activations(panels["P"], spec, trace["phi_ps"], trace["row_ps"])
        _counts(panels["C"], figure, count_pulses(spec, trace["width_ps"]))
        _outputs(panels["O"], outcome.out[-1])
        figure.suptitle(title)
    return path


def _phases(axes: Axes, spec: HardwareSpec, schedule: str) -> None:
    """The phases of this token, and in grey of the one accepted a period later."""
    colours = [K_COLOUR, V_COLOUR, K_COLOUR, V_COLOUR, Q_COLOUR, PHI_COLOUR, OUT_COLOUR]
    chosen, t_clk_ns = spec.schedules[schedule], spec.clock.t_clk_ps / 1000
    phases = chosen.phases
    for row, (phase, colour) in enumerate(zip(phases.values(), colours, strict=True)):
        start, width = phase.start * t_clk_ns, len(phase) * t_clk_ns
        axes.barh(row, width, left=start, color=colour)
        axes.barh(row, width, left=start + chosen.period * t_clk_ns, color="#dddddd")
    axes.set(title="Phases (grey: of the next token)", yticks=range(len(phases)))
    axes.set(xlabel="time since the token was accepted (ns)", yticklabels=list(phases))
    axes.set_xlim(0, chosen.latency * t_clk_ns)
    axes.invert_yaxis()


def _writes(axes: Axes, spec: HardwareSpec, job: Job, slot: int) -> None:
    cells = np.arange(spec.geometry.head_dim)
    axes.step(cells, job.k[-1] * spec.kv_step_v, where="mid", color=K_COLOUR, label="K")
    axes.step(cells, job.v[-1] * spec.kv_step_v, where="mid", color=V_COLOUR, label="V", alpha=0.8)
    axes.axhline(spec.cell.v_zero_v, color="black", linewidth=0.8, linestyle=":")
    subtile = slot // spec.geometry.subtile
    axes.set(title=f"Written to slot {slot} (sub-tile {subtile})", xlabel="cell")
    axes.set(ylabel="stored voltage (V)", ylim=(-0.05, spec.cell.v_supply_v * 1.35))
    axes.legend(ncols=2, loc="upper right")


def _queries(axes: Axes, spec: HardwareSpec, schedule: str, q: np.ndarray) -> None:
    start_ns = spec.schedules[schedule].phases["score"].start * spec.clock.t_clk_ps / 1000
    width_ns = q * spec.clock.t_clk_ps / 1000
    axes.barh(np.arange(len(q)), width_ns, left=start_ns, height=0.8, color=Q_COLOUR)
    axes.set(title="Query pulses measured on the word lines", xlabel="time (ns)")
    axes.set(ylabel="word line", ylim=(-1, len(q)))
    axes.set_xlim(start_ns - 0.5, start_ns + spec.converter.t_max_ps / 1000 + 0.5)


def _scores(axes: Axes, spec: HardwareSpec, score: np.ndarray) -> None:
    charge = score / spec.levels.q_max
    axes.plot(charge, ".", markersize=3, color=K_COLOUR)
    axes.axhline(spec.converter.s_sat, color="black", linewidth=0.8, linestyle="--")
    beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8}
    axes.text(1.005, spec.converter.s_sat, "S_sat", **beside)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(title="Charge S of each K column", ylabel="S (charge)")
    _slot_axis(axes, spec)


def _activations(axes: Axes, spec: HardwareSpec, phi_ps: np.ndarray, row_ps: np.ndarray) -> None:
    slots = np.arange(len(row_ps))
    stopped = (phi_ps > 0) & (row_ps == 0)
    axes.vlines(slots, 0, row_ps / 1000, color=PHI_COLOUR, linewidth=0.9, label="reached the V row")
    if stopped.any():
        blocked = phi_ps[stopped] / 1000
        axes.plot(slots[stopped], blocked, ".", color="#bbbbbb", label="stopped by the gate")
    axes.set(title="Activation pulses, HardSigmoid of S", ylabel="width φ (ns)")
    axes.set_ylim(0, spec.converter.t_max_ps / 1000 * 1.4)
    axes.legend(ncols=2, loc="upper right")
    _slot_axis(axes, spec)


def _slot_axis(axes: Axes, spec: HardwareSpec) -> None:
    geometry = spec.geometry
    axes.set_xlim(0, geometry.window)
    axes.set_xticks(
        np.arange(0, geometry.window + 1, geometry.subtile * -(-geometry.subtiles // 16))
    )
    axes.set_xlabel("slot (a grid line per sub-tile)")


def _counts(axes: Axes, figure: Figure, counts: np.ndarray) -> None:
    most = max(1, np.abs(counts).max())
    image = axes.imshow(counts, aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most)
    figure.colorbar(image, ax=axes, label="signed count")
    axes.set(title="Counts of the output pulses", xlabel="dimension", ylabel="sub-tile")
    axes.grid(False)


def _outputs(axes: Axes, out: np.ndarray) -> None:
    axes.bar(np.arange(len(out)), out, color=OUT_COLOUR, width=0.8)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(title="Output codes of the RTL", xlabel="dimension", ylabel="sum over sub-tiles")
