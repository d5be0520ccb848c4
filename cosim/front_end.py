"""The analog front end: gain-cell arrays and converters on the pins of the RTL.

It acts at the phase boundaries on what the pins really did: DAC codes and strobes, the measured
widths of the query pulses, the activation pulses that came through the gates.
"""

from collections.abc import Coroutine
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadWrite, RisingEdge

from analog_models.array import GainCellArray, KeyArray, ValueArray
from analog_models.errors import GaincellError
from analog_models.physics import (
    charge_to_pulse,
    count_pulses,
    signed_charge_to_pulse,
)
from analog_models.spec import HardwareSpec
from cosim.packing import to_bits, unpack_lanes
from cosim.pulses import PulseLink

__all__ = ["FrontEnd"]


class FrontEnd:
    """Arrays, capacitors and converters of one head as concurrent cocotb tasks.

    dut: the testbench; link: how pulses travel between model and RTL.

    Attributes, of the latest query that was activated:
        q: [d] query codes measured on the word lines.
        phi_ps: [slot] widths of the converters' pulses; row_ps: [slot] those that passed the gates.
        score: [slot] charge of the K columns.
        width_ps: [sub-tile, d] signed widths of the output pulses.
    `counts`, `queries` and `rows` keep counts [sub-tile, d], query codes [d] and widths [slot] in
    ps of every query.
    """

    def __init__(self, dut: Any, spec: HardwareSpec, link: PulseLink) -> None:
        self._dut, self.spec, self._link = dut, spec, link
        self.k_array, self.v_array = KeyArray(spec), ValueArray(spec)
        self.slot = 0
        self.counts: list[np.ndarray] = []
        self.queries: list[np.ndarray] = []
        self.rows: list[np.ndarray] = []
        self.fault: GaincellError | None = None
        self.q = np.zeros(spec.geometry.head_dim)
        self.phi_ps = self.row_ps = np.zeros(spec.geometry.window)
        self._keys_written = self._values_written = 0
        self._score_cycles = len(dut.q_levels) // spec.geometry.head_dim
        # What the two K capacitors of each column hold: the score and the query it came from.
        self._held: list[Any] = [None, None]

    def start(self) -> None:
        """Run beside the simulation until its end, or until a fault that `fault` then holds."""
        for work in (self._write_keys(), self._write_values(), self._score(), self._activate()):
            cocotb.start_soon(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except GaincellError as error:
            self.fault = error

    def _write(self, array: GainCellArray, token: int) -> None:
        bits = self.spec.levels.kv_max.bit_length()
        codes = unpack_lanes(int(self._dut.write_code.value), self.spec.geometry.head_dim, bits)
        self.slot = int(self._dut.write_slot.value)
        array.write(self.slot, codes, token)

    async def _write_keys(self) -> None:
        strobe = FallingEdge(self._dut.strobe_k)
        while True:
            await strobe
            self._write(self.k_array, self._keys_written)
            self._keys_written += 1

    async def _write_values(self) -> None:
        strobe = FallingEdge(self._dut.strobe_v)
        while True:
            await strobe
            self._write(self.v_array, self._values_written)
            self._values_written += 1

    async def _score(self) -> None:
        dut, dim, cycles = self._dut, self.spec.geometry.head_dim, self._score_cycles
        end = FallingEdge(dut.score)
        while True:
            await end
            if not int(dut.score_clean.value):
                raise GaincellError(f"query {len(self.counts)}: K capacitor not discharged before")
            levels = to_bits(int(dut.q_levels.value), cycles * dim)
            q = levels.reshape(cycles, dim).sum(0, dtype=np.float64)
            score = self.charge(q)
            phi_ps = charge_to_pulse(self.spec, score)
            bank = int(dut.scored_bank.value)
            self._held[bank] = q, score, phi_ps
            self._link.send_phi(bank, phi_ps)

    def charge(self, q: np.ndarray) -> np.ndarray:
        """Charge of the K columns after query pulses of `q` [d] cycles: [slot]."""
        return self.k_array.charge(q, self._keys_written - 1)

    async def _activate(self) -> None:
        dut = self._dut
        end = FallingEdge(dut.activate)
        while True:
            await end
            if not int(dut.activate_clean.value):
                raise GaincellError(f"query {len(self.counts)}: V capacitor not discharged before")
            bank = int(dut.activated_bank.value)
            if self._held[bank] is None:
                raise GaincellError(f"query {len(self.counts)}: its K capacitor holds no score")
            self.q, self.score, self.phi_ps = self._held[bank]
            self._held[bank] = None
            self.row_ps = await self._link.receive_rows(self.phi_ps)
            charge = self.v_array.charge(self.row_ps, self._values_written - 1)
            self.width_ps = signed_charge_to_pulse(self.spec, charge)
            counts = count_pulses(self.spec, self.width_ps)
            self._link.send_outputs(bank, self.width_ps, counts)
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
            token = max(self._values_written - 1, 0)
            dut.v_stored.value = float(self.v_array.v_stored(slot, token)[cell])
            dut.phi_width_ps.value = float(self.row_ps[slot])
            if int(dut.reset_k.value):
                cycles, dut.integrator_charge.value = 0, 0.0
            elif int(dut.score.value) or cycles:
                q = to_bits(int(dut.q_levels.value), len(dut.q_levels)).reshape(-1, dim)[:cycles]
                charge = self.charge(q.sum(0, dtype=np.float64))[slot]
                dut.integrator_charge.value = float(charge / self.spec.levels.q_max)
                cycles = cycles + 1 if int(dut.score.value) else 0
