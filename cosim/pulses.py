"""How pulse widths travel between the analog model and the RTL's pins."""

from typing import Any, Protocol

import numpy as np
from cocotb.triggers import Timer

from analog_models.errors import GaincellError
from analog_models.spec import HardwareSpec
from cosim.packing import from_bits, planes, to_bits

__all__ = ["ExactLink", "GateError", "PulseLink", "ReplayLink", "width_bits"]


class GateError(GaincellError):
    """An activation gate that moved while a pulse was passing."""


class PulseLink(Protocol):
    """One way to replay pulses in simulated time; bank: the capacitor that holds their charge."""

    def send_phi(self, bank: int, phi_ps: np.ndarray) -> None:
        """Prepare pulses of these widths [slot] on the K columns' converters."""
        ...

    async def receive_rows(self, phi_ps: np.ndarray) -> np.ndarray:
        """Widths of the pulses that reached the V rows in the phase that has just ended [slot]."""
        ...

    def send_outputs(self, bank: int, width_ps: np.ndarray, counts: np.ndarray) -> None:
        """Prepare output pulses of these signed widths [sub-tile, d], to start on `convert`."""
        ...


def width_bits(spec: HardwareSpec) -> int:
    """Bits of a pulse width in clock cycles."""
    return max(spec.pulse_cycles, spec.levels.count_max).bit_length()


class ReplayLink:
    """All lanes at once as words on clock edges; widths keep their picoseconds in the model.

    What a gate does to a pulse is observed in every cycle; a gate must let a pulse pass whole or
    not at all, else `GateError`.
    """

    def __init__(self, dut: Any, spec: HardwareSpec) -> None:
        self._dut, self._spec = dut, spec
        self._bits = width_bits(spec)

    def send_phi(self, bank: int, phi_ps: np.ndarray) -> None:
        cycles = np.ceil(phi_ps / self._spec.clock.t_clk_ps)
        self._dut.replay.phi_cycles[bank].value = planes(cycles, self._bits)

    async def receive_rows(self, phi_ps: np.ndarray) -> np.ndarray:
        slots = len(phi_ps)
        lost_word = int(self._dut.replay.phi_lost.value)
        seen = to_bits(int(self._dut.replay.row_seen.value), slots)
        if lost_word:
            cut = np.flatnonzero(seen & to_bits(lost_word, slots))
            if len(cut):
                raise GateError(f"the gate of slot {cut[0]} moved during its activation pulse")
        open_ps = int(self._dut.activate_cycles.value) * self._spec.clock.t_clk_ps
        return np.minimum(phi_ps, open_ps) * seen

    def send_outputs(self, bank: int, width_ps: np.ndarray, counts: np.ndarray) -> None:
        self._dut.replay.out_cycles[bank].value = planes(np.abs(counts).ravel(), self._bits)
        self._dut.out_negative[bank].value = from_bits(width_ps < 0)


class ExactLink:
    """Every lane on its own, its edges at the exact picosecond: verifies the counting rule."""

    def __init__(self, dut: Any, spec: HardwareSpec) -> None:
        self._dut = dut
        self._phi = [dut.exact.phi_lane[i] for i in range(spec.geometry.window)]
        outputs = spec.geometry.subtiles * spec.geometry.head_dim
        self._out = [dut.exact.out_lane[i] for i in range(outputs)]

    def send_phi(self, bank: int, phi_ps: np.ndarray) -> None:
        for lane, width in zip(self._phi, phi_ps, strict=True):
            lane.width_ps[bank].value = int(width)
        self._dut.exact.charged[bank].value = 1

    async def receive_rows(self, phi_ps: np.ndarray) -> np.ndarray:
        await Timer(1, "step")  # pulses that the gate cuts end together with the phase
        return np.array([int(lane.row_width_ps.value) for lane in self._phi], dtype=np.float64)

    def send_outputs(self, bank: int, width_ps: np.ndarray, counts: np.ndarray) -> None:
        for lane, width in zip(self._out, np.abs(width_ps).ravel(), strict=True):
            lane.width_ps[bank].value = int(width)
        self._dut.out_negative[bank].value = from_bits(width_ps < 0)
