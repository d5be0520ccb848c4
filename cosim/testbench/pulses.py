"""How pulse widths travel between the analog model and the RTL's pins."""

from typing import Any, Protocol

import numpy as np
from cocotb.triggers import Timer

from analog_models.spec import HardwareSpec
from common.errors import GaincellError
from cosim.testbench.packing import digits, planes, read_text, write_bits

__all__ = ["ExactLink", "GateError", "PulseLink", "ReplayLink", "width_bits"]


class GateError(GaincellError):
    """An activation gate that moved while a pulse was passing."""


class PulseLink(Protocol):
    """One way to replay pulses in simulated time; bank: the capacitor that holds their charge."""

    def send_phi(self, bank: int, phi_ps: np.ndarray) -> None:
        """Prepare pulses of these widths [slot] on the K columns' converters."""
        ...

    async def receive_rows(
        self, phi_ps: np.ndarray, seen: np.ndarray, cut: bool, open_cycles: int
    ) -> np.ndarray:
        """Widths of the pulses that reached the V rows in the phase that has just ended [slot].

        phi_ps: widths in front of the gates. seen: [slot] whether a row was ever high. cut: whether
        one of those was low while its pulse was high. open_cycles: length of the phase.
        """
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
        outputs = spec.geometry.subtiles * spec.geometry.head_dim
        self._outputs = np.zeros((self._bits + 1, outputs), dtype=np.bool_)

    def send_phi(self, bank: int, phi_ps: np.ndarray) -> None:
        cycles = np.ceil(phi_ps / self._spec.clock.t_clk_ps)
        write_bits(self._dut.phi_pulses[bank], planes(cycles, self._bits))

    async def receive_rows(
        self, phi_ps: np.ndarray, seen: np.ndarray, cut: bool, open_cycles: int
    ) -> np.ndarray:
        if cut:
            lost = digits(read_text(self._dut.phi_lost))
            slot = np.flatnonzero(seen & lost)[0]
            raise GateError(f"the gate of slot {slot} moved during its activation pulse")
        return np.minimum(phi_ps, open_cycles * self._spec.clock.t_clk_ps) * seen

    def send_outputs(self, bank: int, width_ps: np.ndarray, counts: np.ndarray) -> None:
        self._outputs[:-1] = planes(np.abs(counts).ravel(), self._bits)
        self._outputs[-1] = (width_ps < 0).ravel()
        write_bits(self._dut.out_pulses[bank], self._outputs)


class ExactLink:
    """Every lane on its own, its edges at the exact picosecond: verifies the counting rule."""

    def __init__(self, dut: Any, spec: HardwareSpec) -> None:
        self._dut = dut
        self._phi = [dut.exact.phi_lane[i] for i in range(spec.geometry.window)]
        outputs = spec.geometry.subtiles * spec.geometry.head_dim
        self._out = [dut.exact.out_lane[i] for i in range(outputs)]
        self._signs = np.zeros((width_bits(spec) + 1, outputs), dtype=np.bool_)

    def send_phi(self, bank: int, phi_ps: np.ndarray) -> None:
        for lane, width in zip(self._phi, phi_ps, strict=True):
            lane.width_ps[bank].value = int(width)
        self._dut.exact.charged[bank].value = 1

    async def receive_rows(
        self, phi_ps: np.ndarray, seen: np.ndarray, cut: bool, open_cycles: int
    ) -> np.ndarray:
        await Timer(1, "step")  # pulses that the gate cuts end together with the phase
        return np.array([int(lane.row_width_ps.value) for lane in self._phi], dtype=np.float64)

    def send_outputs(self, bank: int, width_ps: np.ndarray, counts: np.ndarray) -> None:
        for lane, width in zip(self._out, np.abs(width_ps).ravel(), strict=True):
            lane.width_ps[bank].value = int(width)
        self._signs[-1] = (width_ps < 0).ravel()
        write_bits(self._dut.out_pulses[bank], self._signs)
