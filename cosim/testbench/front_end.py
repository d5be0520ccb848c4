"""The analog front end: gain-cell arrays and converters on the pins of the RTL.

It acts when scores and activations end, on what the pins really did until then: DAC codes and
strobes, the measured widths of the query pulses, the activation pulses that came through the gates.
"""

import time
from collections.abc import Coroutine
from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import Event, FallingEdge, ReadWrite, RisingEdge

from analog_models.analog_head import AnalogHead
from analog_models.physics import count_pulses
from analog_models.spec import HardwareSpec
from common.errors import GaincellError
from cosim.run.progress import Counter
from cosim.testbench.pulses import PulseLink
from cosim.testbench.reports import Report, ReportReader, follow_writes

__all__ = ["FrontEnd"]


class Score(NamedTuple):
    """What a K capacitor of each column holds, and the query [d] that it comes from."""

    q: np.ndarray
    charge: np.ndarray
    phi_ps: np.ndarray


class FrontEnd:
    """Arrays, capacitors and converters of one head as concurrent cocotb tasks.

    dut: the testbench; link: how pulses travel between model and RTL; counter: told the number of
    queries that are done; analog: arrays and converters (default: ideal ones).

    Attributes, of the latest query that was activated:
        q: [d] query codes measured on the word lines.
        phi_ps: [slot] widths of the converters' pulses; row_ps: [slot] those that passed the gates.
        score: [slot] charge of the K columns.
        width_ps: [sub-tile, d] signed widths of the output pulses.
    `counts`, `queries` and `rows` keep counts [sub-tile, d], query codes [d] and widths [slot] in
    ps of every query since the latest `record_anew`; `done_s` the time then and after each of them.
    `failed` is set with `fault`, and nothing happens from then on.
    """

    def __init__(
        self,
        dut: Any,
        spec: HardwareSpec,
        link: PulseLink,
        counter: Counter | None = None,
        analog: AnalogHead | None = None,
    ) -> None:
        self._dut, self.spec, self._link, self._counter = dut, spec, link, counter
        self._analog = analog or AnalogHead(spec)
        self.k_array, self.v_array = self._analog.k_array, self._analog.v_array
        self.slot = 0
        self.record_anew()
        self.failed = Event()
        self.fault: GaincellError | None = None
        self.q = np.zeros(spec.geometry.head_dim)
        self.phi_ps = self.row_ps = np.zeros(spec.geometry.window)
        self._keys = self._values = 0  # written so far
        self._held: list[Score | None] = [None, None]
        self._scores = ReportReader(dut, dut.score_report, flags=2)
        self._activations = ReportReader(dut, dut.activate_report, flags=19)

    def record_anew(self) -> None:
        """Forget what is kept of queries; arrays and capacitors stay as they are."""
        self.counts: list[np.ndarray] = []
        self.queries: list[np.ndarray] = []
        self.rows: list[np.ndarray] = []
        self.done_s = [time.perf_counter()]

    def start(self) -> None:
        """Run beside the simulation until its end, or until a fault."""
        for work in (self._score(), self._activate()):
            cocotb.start_soon(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except GaincellError as error:
            self.fault = self.fault or error
            self.failed.set()

    def charge(self, q: np.ndarray) -> np.ndarray:
        """Charge of the K columns after query pulses of `q` [d] cycles: [slot]."""
        return self.k_array.charge(q, self._keys - 1)

    async def _score(self) -> None:
        end = FallingEdge(self._dut.score)
        while True:
            await end
            report = self._scores.read()
            clean, bank = report.flags & 1, report.flags >> 1
            if not clean:
                raise GaincellError(f"query {len(self.counts)}: K capacitor not discharged before")
            self._keys = follow_writes(self.k_array, self._keys, report, "key")
            q = self._levels(report).sum(0, dtype=np.float64)
            charge = self.charge(q)
            phi_ps = self._analog.activate(charge)
            self._held[bank] = Score(q, charge, phi_ps)
            self._link.send_phi(bank, phi_ps)

    def _levels(self, report: Report) -> np.ndarray:
        """Levels of the word lines [cycle, d], the latest cycle first."""
        return report.recorded.reshape(-1, self.spec.geometry.head_dim)

    async def _activate(self) -> None:
        spec, end = self.spec, FallingEdge(self._dut.activate)
        while True:
            await end
            report = self._activations.read()
            clean, bank, cut, cycles = (report.flags >> i for i in range(4))
            if not clean & 1:
                raise GaincellError(f"query {len(self.counts)}: V capacitor not discharged before")
            held, self._held[bank & 1] = self._held[bank & 1], None
            if held is None:
                raise GaincellError(f"query {len(self.counts)}: its K capacitor holds no score")
            self._follow_values(report)
            self.q, self.score, self.phi_ps = held
            self.row_ps = await self._link.receive_rows(
                self.phi_ps, report.recorded, bool(cut & 1), cycles
            )
            charge = self.v_array.charge(self.row_ps, self._values - 1)
            self.width_ps = self._analog.convert(charge)
            counts = count_pulses(spec, self.width_ps)
            self._link.send_outputs(bank & 1, self.width_ps, counts)
            self._keep(counts)

    def _follow_values(self, report: Report) -> None:
        self._values = follow_writes(self.v_array, self._values, report, "value")
        self.slot = report.slot

    def _keep(self, counts: np.ndarray) -> None:
        self.counts.append(counts.astype(np.int8))
        self.queries.append(self.q.astype(np.uint8))
        self.rows.append(self.row_ps.astype(np.uint32))
        self.done_s.append(time.perf_counter())
        if self._counter:
            self._counter.tokens = len(self.counts)

    async def trace_waves(self, slot: int = 0, cell: int = 0) -> None:
        """Show one V cell's voltage, one K column's charge and one phi width in the waveform."""
        dut = self._dut
        next_cycle = RisingEdge(dut.clk)
        cycles = 0
        while True:
            await next_cycle
            await ReadWrite()
            self._follow_values(self._activations.read())
            token = max(self._values - 1, 0)
            dut.v_stored.value = float(self.v_array.v_stored(slot, token)[cell])
            dut.phi_width_ps.value = float(self.row_ps[slot])
            if int(dut.reset_k.value):
                cycles, dut.integrator_charge.value = 0, 0.0
            elif int(dut.score.value) or cycles:
                q = self._levels(self._scores.read())[:cycles].sum(0, dtype=np.float64)
                charge = self.charge(q)[slot]
                dut.integrator_charge.value = float(charge / self.spec.levels.q_max)
                cycles = cycles + 1 if int(dut.score.value) else 0
