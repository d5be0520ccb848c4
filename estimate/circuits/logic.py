"""The digital blocks: what synthesis and a simulation of the gates found, scaled to this node."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analog_models.spec import HardwareSpec, Schedule
from estimate.circuits.component import Action, Component
from estimate.circuits.scaling import Factors, scale_logic

__all__ = ["LOGIC_BLOCKS", "Block", "LogicBlock"]


@dataclass(frozen=True)
class Block:
    """What a component of synthesis is.

    driven_by: the activity that moves it. grows_with: what its size follows in another geometry or
    with other levels.
    """

    title: str
    driven_by: str = "query_duty"
    grows_with: str = "nothing"


LOGIC_BLOCKS = {
    "datapath/pulse_counter": Block("pulse counters and adders", "out_duty", "outputs"),
    "datapath/pulse_generator": Block("pulse generators (PWM)", grows_with="query bits"),
    "datapath/activation": Block("gates of the activation pulses", grows_with="slots"),
    "datapath/write_scheduler": Block("write scheduler", grows_with="key bits"),
    "datapath": Block("code registers", grows_with="key bits"),
    "control/window": Block("window pointer and validity mask", grows_with="slots"),
    "control/sequencer": Block("phase sequencer"),
    "control": Block("handshakes"),
}
"""Components of synthesis, by their name there."""


def _size(spec: HardwareSpec, what: str) -> int:
    geometry, levels = spec.geometry, spec.levels
    sizes = {
        "nothing": 1,
        "query bits": geometry.head_dim * levels.q_max.bit_length(),
        "key bits": geometry.head_dim * levels.kv_max.bit_length(),
        "slots": geometry.window,
        "outputs": geometry.subtiles * geometry.head_dim,
    }
    return sizes[what]


@dataclass(frozen=True)
class LogicBlock(Component):
    """One component of synthesis.

    synthesis: what `hdl.synth` wrote, for one library. reference: the specification that it was
    synthesised from. component: its name there.
    """

    synthesis: Mapping[str, Any]
    reference: HardwareSpec
    component: str

    @property
    def block(self) -> Block:
        return LOGIC_BLOCKS[self.component]

    @property
    def factors(self) -> Factors:
        """From the library's technology to this one."""
        s = self.synthesis
        node_m = self.circuits["technology.node_m"]
        return scale_logic(s["node_m"], s["supply_v"], node_m, self.supply_v)

    @property
    def growth(self) -> float:
        """Size against that of the reference; 1 for the same geometry."""
        grows_with = self.block.grows_with
        return _size(self.spec, grows_with) / _size(self.reference, grows_with)

    @property
    def _row(self) -> Mapping[str, Any]:
        rows = self.synthesis["components"]
        return next(row for row in rows if row["component"] == self.component)

    @property
    def area_m2(self) -> float:
        """Cells, and between them what they leave free when they are placed."""
        cells_m2 = self._row["area_um2"] * 1e-12 * self.factors.area * self.growth
        return cells_m2 / self.circuits["technology.utilisation"]

    @property
    def leakage_w(self) -> float:
        """Scaled like the energy of a cycle, for want of better."""
        return self._row["leakage_w"] * self.factors.energy * self.growth

    @property
    def flip_flops(self) -> float:
        return self._row["flip_flops"] * self.growth

    def run_token(self, schedule: Schedule, cycles: float, activity: Mapping[str, float]) -> Action:
        """One token in so many cycles: what it takes when quiet, and more for what there is to do.

        The gates were simulated with random tokens and with quiet ones; between the two the energy
        follows the duty of the pulses. A schedule that was not simulated is quiet as the first one
        is, cycle for cycle.
        """
        quiet_j, random_j, simulated = self._simulated(schedule)
        moving_j, quiet_j = random_j - quiet_j, quiet_j * cycles / simulated
        share = self._busy(self.spec) * activity[self.block.driven_by]
        share /= self._busy(self.reference) * self._random_activity
        factor = self.factors.energy * self.growth
        how = (
            f"({quiet_j:.3g} J quiet + {share:.2f} x {moving_j:.3g} J) in "
            f"{self.synthesis['library']}, scaled by {factor:.3f}"
        )
        return Action(factor * (quiet_j + share * moving_j), cycles * self.clock_s, how)

    def _busy(self, spec: HardwareSpec) -> int:
        """Cycles of the longest pulse, which duties are shares of."""
        queries = self.block.driven_by == "query_duty"
        return spec.levels.q_max if queries else spec.pulse_cycles

    @property
    def _random_activity(self) -> float:
        return self.synthesis["random_activity"][self.block.driven_by]

    def _simulated(self, schedule: Schedule) -> tuple[float, float, float]:
        """Energy in J of a quiet and of a random token, and the cycles that either took."""
        energies = self.synthesis["energy_by_schedule"]
        known = (name for name in energies if self.reference.schedules.get(name) == schedule)
        energy = energies[next(known, next(iter(energies)))]
        quiet, random = (energy[kind] for kind in ("quiet", "random"))
        joules = (kind["energy_j"][self.component] for kind in (quiet, random))
        return (*joules, quiet["cycles_per_token"])
