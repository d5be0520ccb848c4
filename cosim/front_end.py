"""The analog front end: gain-cell arrays and converters on the pins of the RTL.

It acts at the phase boundaries on what the pins really did: DAC codes and strobes, the measured
widths of the query pulses, the activation pulses that came through the gates.
"""

from collections.abc import Coroutine
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadWrite, RisingEdge

from analog_models.array import GainCellArray
from analog_models.errors import GaincellError
from analog_models.physics import (
    charge_to_pulse,
    count_pulses,
    row_charge,
    score_charge,
    signed_charge_to_pulse,
)
from analog_models.spec import HardwareSpec
from cosim.packing import to_bits, unpack_lanes
from cosim.pulses import PulseLink

__all__ = ["FrontEnd"]


class FrontEnd:
    """Arrays and converters of one head as concurrent cocotb tasks.

    dut: the testbench; link: how pulses travel between model and RTL.

    Attributes, of the latest token:
        q: [d] query codes measured on the word lines.
        phi_ps: [slot] widths of the converters' pulses; row_ps: [slot] those that passed the gates.
        score: [slot] charge of the K columns.
        width_ps: [sub-tile, d] signed widths of the output pulses.
    `counts`, `queries` and `rows` keep counts [sub-tile, d], query codes [d] and widths [slot] in
    ps of every token.
    """

    def __init__(self, dut: Any, spec: HardwareSpec, link: PulseLink) -> None:
        self._dut, self.spec, self._link = dut, spec, link
        self.k_array, self.v_array = GainCellArray(spec), GainCellArray(spec)
        self.token = -1
        self.slot = 0
        self.counts: list[np.ndarray] = []
        self.queries: list[np.ndarray] = []
        self.rows: list[np.ndarray] = []
        self.fault: GaincellError | None = None
        self.q = np.zeros(spec.geometry.head_dim)
        self.phi_ps = self.row_ps = np.zeros(spec.geometry.window)

    def start(self) -> None:
        """Run beside the simulation until its end, or until a fault that `fault` then holds."""
        for work in (self._write_keys(), self._write_values(), self._score(), self._activate()):
            cocotb.start_soon(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except GaincellError as error:
            self.fault = error

    def _write(self, array: GainCellArray) -> None:
        bits = self.spec.levels.kv_max.bit_length()
        codes = unpack_lanes(int(self._dut.write_code.value), self.spec.geometry.head_dim, bits)
        self.slot = int(self._dut.write_slot.value)
        array.write(self.slot, codes, self.token)

    async def _write_keys(self) -> None:
        strobe = FallingEdge(self._dut.strobe_k)
        while True:
            await strobe
            self.token += 1
            self._write(self.k_array)

    async def _write_values(self) -> None:
        strobe = FallingEdge(self._dut.strobe_v)
        while True:
            await strobe
            self._write(self.v_array)

    async def _score(self) -> None:
        geometry, schedule = self.spec.geometry, self.spec.schedule
        end = FallingEdge(self._dut.score)
        while True:
            await end
            if not int(self._dut.discharged.value):
                raise GaincellError(f"token {self.token}: integrators not reset before its score")
            levels = to_bits(int(self._dut.q_levels.value), schedule.score * geometry.head_dim)
            self.q = levels.reshape(schedule.score, geometry.head_dim).sum(0, dtype=np.float64)
            self.score = self.charge(self.q)
            self.phi_ps = charge_to_pulse(self.spec, self.score)
            self._link.send_phi(self.phi_ps)

    def charge(self, q: np.ndarray) -> np.ndarray:
        """Charge of the K columns after query pulses of `q` [d] cycles: [slot]."""
        k = self.k_array
        return score_charge(q[None, :], k.constant, k.terms, k.leakage(self.token))[0]

    async def _activate(self) -> None:
        end = FallingEdge(self._dut.activate)
        v = self.v_array
        while True:
            await end
            self.row_ps = await self._link.receive_rows(self.phi_ps)
            charge = row_charge(
                self.spec, self.row_ps[None, :], v.constant, v.terms, v.leakage(self.token)
            )
            self.width_ps = signed_charge_to_pulse(self.spec, charge)[:, 0]
            counts = count_pulses(self.spec, self.width_ps)
            self._link.send_outputs(self.width_ps, counts)
            self.counts.append(counts.astype(np.int8))
            self.queries.append(self.q.astype(np.uint8))
            self.rows.append(self.row_ps.astype(np.uint32))

    async def trace_waves(self, slot: int = 0, cell: int = 0) -> None:
        """Show one V cell's voltage, one K column's charge and one phi width in the waveform."""
        dut, dim = self._dut, self.spec.geometry.head_dim
        next_cycle = RisingEdge(dut.clk)
        cycles = 0
        while True:
            await next_cycle
            await ReadWrite()
            dut.v_stored.value = float(self.v_array.v_stored(slot, max(self.token, 0))[cell])
            dut.phi_width_ps.value = float(self.row_ps[slot])
            if int(dut.reset.value):
                cycles, dut.integrator_charge.value = 0, 0.0
            elif int(dut.score.value) or cycles:
                q = to_bits(int(dut.q_levels.value), len(dut.q_levels)).reshape(-1, dim)[:cycles]
                charge = self.charge(q.sum(0, dtype=np.float64))[slot]
                dut.integrator_charge.value = float(charge / self.spec.levels.q_max)
                cycles = cycles + 1 if int(dut.score.value) else 0
