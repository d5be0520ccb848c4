"""The cocotb test that replays a job: feeds tokens, couples the analog model, collects results."""

import gc
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge, SimTimeoutError, Timer, with_timeout
from cocotb.utils import get_sim_time

from analog_models.errors import GaincellError
from analog_models.files import read_json, write_json
from analog_models.spec import HardwareSpec, load_spec
from cosim.front_end import FrontEnd
from cosim.job import Job, Outcome
from cosim.packing import from_bits, pack_lanes, unpack_lanes
from cosim.pulses import ExactLink, ReplayLink

RESET_CYCLES = 3
TRACED = ("slot", "q", "score", "phi_ps", "row_ps", "width_ps")


class Bench:
    """One job on the testbench `dut`."""

    def __init__(self, dut: Any, spec: HardwareSpec, contract: dict[str, Any], job: Job) -> None:
        self.dut, self.spec, self.job = dut, spec, job
        self.payloads = contract["payloads"]
        link = (ExactLink if job.exact else ReplayLink)(dut, spec)
        self.front_end = FrontEnd(dut, spec, link)
        self.t_clk_ps = spec.clock.t_clk_ps
        self.gaps, self.stalls = self.waits(job.max_gap, "gap"), self.waits(job.max_stall, "stall")
        self.accepted: list[int] = []
        self.finished: list[int] = []
        self.out: list[np.ndarray] = []

    def cycle(self) -> int:
        """Number of the clock edge at or before now."""
        return int(get_sim_time("ps")) // self.t_clk_ps

    async def run(self, progress: "Progress") -> None:
        """Reset, then feed and collect everything."""
        self.front_end.start()
        if self.job.waves:
            cocotb.start_soon(self.front_end.trace_waves())
        await Timer(RESET_CYCLES * self.t_clk_ps, "ps")
        self.dut.rst.value = 0
        cocotb.start_soon(self.feed())
        slowest = max(schedule.latency for schedule in self.spec.schedules.values())
        patience = slowest * 3 + self.job.max_gap + self.job.max_stall
        for token in range(self.job.tokens):
            try:
                await with_timeout(self.collect(token), patience * self.t_clk_ps, "ps")
            except SimTimeoutError:
                raise self.front_end.fault or GaincellError(
                    f"token {token}: no result within {patience} cycles of its predecessor's"
                ) from None
            progress.show(token + 1)

    def waits(self, longest: int, salt: str) -> Iterator[int]:
        """Random numbers of cycles to wait, half of them 0; all of them if `longest` is 0."""
        rng = random.Random(f"{salt} {self.job.seed}")
        while True:
            yield rng.randint(0, longest) if longest and rng.random() < 0.5 else 0

    def token_payloads(self) -> Iterator[int]:
        fields = self.payloads["token__payload"]
        parts = [
            pack_lanes(getattr(self.job, name).reshape(self.job.tokens, -1), field["bits"])
            for name, field in sorted(fields.items(), key=lambda item: item[1]["offset"])
        ]
        return map(from_bits, np.concatenate(parts, axis=1))

    async def feed(self) -> None:
        """Offer the tokens one after the other."""
        dut, accepted = self.dut, FallingEdge(self.dut.token_valid)
        job = self.job
        settings = zip(job.window_length.tolist(), job.schedule.tolist(), strict=True)
        for (length, schedule), payload in zip(settings, self.token_payloads(), strict=True):
            if gap := next(self.gaps):
                await Timer(gap * self.t_clk_ps, "ps")
            dut.token_payload.value = payload
            dut.window_length.value = length
            dut.schedule.value = schedule
            dut.token_valid.value = 1
            await accepted
            self.accepted.append(self.cycle())

    async def collect(self, token: int) -> None:
        """Take one result; while it has to wait, its payload must not change."""
        dut = self.dut
        stall = next(self.stalls)
        dut.result_ready.value = int(not stall)
        await RisingEdge(dut.result_valid)
        self.finished.append(self.cycle())
        if stall:
            await Timer(1, "step")
            offered = int(dut.result_payload.value)
            await Timer(stall * self.t_clk_ps, "ps")
            dut.result_ready.value = 1
        await FallingEdge(dut.result_valid)
        taken = int(dut.result_payload.value)
        if stall and taken != offered:
            raise GaincellError(f"token {token}: its result changed while it waited to be taken")
        field = self.payloads["result__payload"]["out"]
        self.out.append(unpack_lanes(taken, field["lanes"], field["bits"], field["signed"]))

    def outcome(self, wall_s: float) -> Outcome:
        front_end = self.front_end
        trace = {name: np.asarray(getattr(front_end, name)) for name in TRACED}
        return Outcome(
            out=np.array(self.out, dtype=np.int16),
            counts=np.array(front_end.counts),
            queries=np.array(front_end.queries),
            rows=np.array(front_end.rows),
            accepted=np.array(self.accepted),
            finished=np.array(self.finished),
            wall_s=wall_s,
            trace=trace,
        )


class Progress:
    """A line on stderr now and then: replaced in place on a terminal, else every few seconds."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total = label, total
        self._live = sys.stderr.isatty()
        self._start = self._last = time.perf_counter()

    def show(self, done: int) -> None:
        now = time.perf_counter()
        finished = done == self._total
        if not self._label or (now - self._last < (0.2 if self._live else 5.0) and not finished):
            return
        self._last = now
        rate = done / (now - self._start)
        text = f"{self._label}: {done}/{self._total} head-tokens, {rate:.0f}/s"
        end = "\r" if self._live and not finished else "\n"
        print(f"{text:<70}", end=end, file=sys.stderr, flush=True)


@cocotb.test()
async def replay(dut: Any) -> None:
    """Run the job that the environment names; `runner` reads what it leaves."""
    folder = Path(os.environ["GAINCELL_JOB"])
    try:
        spec = load_spec(folder / "spec.json")
        contract = read_json(Path(os.environ["GAINCELL_CONTRACT"]))
        job = Job.load(folder / "job.safetensors")
        bench = Bench(dut, spec, contract, job)
        gc.freeze()  # what is loaded now stays; nothing that a token makes needs the collector
        start = time.perf_counter()
        await bench.run(Progress(os.environ.get("GAINCELL_LABEL", ""), job.tokens))
        bench.outcome(time.perf_counter() - start).save(folder / "outcome.safetensors")
    except GaincellError as error:
        write_json(folder / "error.json", {"error": str(error)})
