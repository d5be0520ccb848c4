"""The cocotb test of a core: a bus library on its ports, the analog model on each head's pins."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, Timer, select
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from analog_models.spec import HardwareSpec, load_spec
from common.errors import GaincellError
from common.files import write_json
from cosim.run.core_job import CoreJob, CoreOutcome, Fault
from cosim.run.job import ERROR, JOB, OUTCOME
from cosim.testbench.front_end import FrontEnd
from cosim.testbench.packing import lanes
from cosim.testbench.pulses import ReplayLink
from cosim.testbench.tokens import payload_bits
from hdl.emit.contract import read_contract

RESET_CYCLES = 3
# What a fault does: the phase in whose run it begins, how many cycles later, and for how long.
FAULTS = {
    "phi_stuck": ("activate", 1, 20),
    "out_stuck": ("convert", 1, 20),
    "sign_turned": ("convert", 5, 3),
}


class Core:
    """The testbench of a core with everything around it."""

    def __init__(self, dut: Any, spec: HardwareSpec, contract: dict[str, Any]) -> None:
        self.dut, self.spec, self.contract = dut, spec, contract
        self.address = {r["name"]: r["address"] for r in contract["registers"]}
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        stream = (dut.clk, dut.rst)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *stream)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *stream)
        sides = [dut.head[number].arrays for number in range(contract["heads"])]
        self.front_ends = [FrontEnd(side, spec, ReplayLink(side, spec)) for side in sides]

    async def read(self, register: str) -> int:
        return await self.bus.read_dword(self.address[register])

    async def write(self, register: str, value: int) -> None:
        await self.bus.write_dword(self.address[register], value)

    async def run(self, job: CoreJob) -> tuple[np.ndarray, np.ndarray]:
        """Reset, set up and feed the core; beats [beat, d] and cycles of their results."""
        dut = self.dut
        for front_end in self.front_ends:
            front_end.start()
        await Timer(RESET_CYCLES * self.spec.clock.t_clk_ps, "ps")
        dut.rst.value = 0
        await self.write("schedule", job.schedule)
        await self.write("window_length", job.window_length)
        if job.pauses:
            self.source.set_pause_generator(_pauses(job.seed, "source"))
            self.sink.set_pause_generator(_pauses(job.seed, "sink"))
        for fault in job.faults:
            cocotb.start_soon(self._fail(fault))
        for bits in payload_bits(self.contract, job.beats()):
            beat = np.packbits(bits, bitorder="little").tobytes()
            self.source.send_nowait(AxiStreamFrame(beat))
        faults = (front_end.failed.wait() for front_end in self.front_ends)
        found: Any
        _, found = await select(self._collect(job), *faults)
        for front_end in self.front_ends:
            if front_end.fault:
                raise front_end.fault
        return found

    async def _collect(self, job: CoreJob) -> tuple[np.ndarray, np.ndarray]:
        payload = self.contract["payloads"]["result__payload"]
        field, number = payload["out"], payload["head"]
        out, cycles = [], []
        for beat in range(job.tokens * job.heads):
            frame = await self.sink.recv()
            bits = np.unpackbits(np.frombuffer(bytes(frame.tdata), np.uint8), bitorder="little")
            head = lanes(bits[number["offset"] :][: number["bits"]], 1, False)[0]
            if head != beat % job.heads:
                raise GaincellError(f"result beat {beat}: of head {head}, out of order")
            bits = bits[field["offset"] :][: field["lanes"] * field["bits"]]
            out.append(lanes(bits, field["lanes"], field["signed"]))
            cycles.append(frame.sim_time_end // self.spec.clock.t_clk_ps)
        return np.array(out, dtype=np.int16), np.array(cycles)

    async def _fail(self, fault: Fault) -> None:
        phase, after, cycles = FAULTS[fault.kind]
        for _ in range(fault.query + 1):
            await RisingEdge(getattr(self.dut, phase))
        t_clk_ps = self.spec.clock.t_clk_ps
        await Timer(after * t_clk_ps, "ps")
        getattr(self.dut, fault.kind).value = 1 << fault.head
        await Timer(cycles * t_clk_ps, "ps")
        getattr(self.dut, fault.kind).value = 0


def _pauses(seed: int, salt: str) -> Iterator[bool]:
    """Random pauses of a stream: stretches of random length, some of them long."""
    rng = random.Random(f"{salt} {seed}")
    while True:
        yield from [rng.random() < 0.5] * rng.choice([1, 1, 2, 5, 40])


@cocotb.test()
async def core_replay(dut: Any) -> None:
    """Run the job that the environment names; `core` reads what it leaves."""
    folder = Path(os.environ["GAINCELL_JOB"])
    try:
        spec = load_spec(folder / "spec.json")
        contract = read_contract(Path(os.environ["GAINCELL_CONTRACT"]))
        job = CoreJob.load(folder / JOB)
        core = Core(dut, spec, contract)
        out, cycles = await core.run(job)
        await Timer(40 * spec.clock.t_clk_ps, "ps")  # late faults, the last saturated pulses
        registers = {name: await core.read(name) for name in core.address}
        registers["error_pin"] = int(dut.error.value)
        CoreOutcome(out, cycles, registers).save(folder / OUTCOME)
    except GaincellError as error:
        write_json(folder / ERROR, {"error": str(error)})
