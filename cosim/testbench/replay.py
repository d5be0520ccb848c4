"""The cocotb test that replays jobs: couples the analog model to the running testbench."""

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import First, RisingEdge, Timer

from analog_models.noise import HeadNoise
from analog_models.spec import HardwareSpec, load_spec
from common.errors import GaincellError
from common.files import write_json
from cosim.run.job import ERROR, JOB, OUTCOME, Job, Outcome
from cosim.run.progress import Counter
from cosim.testbench.front_end import FrontEnd
from cosim.testbench.pin_rules import check_pins
from cosim.testbench.pulses import ExactLink, ReplayLink
from cosim.testbench.tokens import read_accepted, read_results
from hdl.emit.contract import read_contract

RESET_CYCLES = 3
TRACED = ("slot", "q", "score", "phi_ps", "row_ps", "width_ps")


async def start(dut: Any, spec: HardwareSpec, front_end: FrontEnd, waves: bool) -> None:
    """Reset the head and end the reset."""
    await Timer(RESET_CYCLES * spec.clock.t_clk_ps, "ps")  # pins settle: no edge is one of a phase
    front_end.start()
    if waves:
        cocotb.start_soon(front_end.trace_waves())
    dut.rst.value = 0


async def run(dut: Any, number: int, job: Job, front_end: FrontEnd) -> None:
    """Feed the job, by its number from 1 on, and wait until all results are taken.

    Raises `GaincellError` for what the testbench or the front end found wrong.
    """
    slowest = max(schedule.latency for schedule in front_end.spec.schedules.values())
    dut.patience.value = patience = slowest * 3 + job.max_gap + job.max_stall
    front_end.record_anew()
    dut.job.value = number
    await First(RisingEdge(dut.ended), front_end.failed.wait())
    taken = int(dut.results.value)
    if front_end.fault:
        raise front_end.fault
    if int(dut.result_changed.value):
        raise GaincellError(f"token {taken}: its result changed while it waited to be taken")
    if int(dut.stuck.value):
        raise GaincellError(
            f"token {taken}: no result within {patience} cycles of its predecessor's"
        )
    check_pins(int(dut.broken.value))
    if len(front_end.counts) != taken:
        raise GaincellError(f"{taken} results of {len(front_end.counts)} activations")


def outcome(folder: Path, contract: dict[str, Any], front_end: FrontEnd) -> Outcome:
    """What the run left in files and in the front end."""
    finished, out = read_results(folder, contract)
    return Outcome(
        out=out,
        counts=np.array(front_end.counts),
        queries=np.array(front_end.queries),
        rows=np.array(front_end.rows),
        accepted=read_accepted(folder),
        finished=finished,
        wall_s=np.diff(front_end.done_s),
        trace={name: np.asarray(getattr(front_end, name)) for name in TRACED},
    )


def jobs(folder: Path) -> Iterator[Job]:
    """The job in the folder. In a session: one job after the other, until its connection ends.

    Each request for a job tells the other side that the outcome of the last one is in the folder.
    """
    if not (descriptor := os.environ["GAINCELL_SESSION"]):
        yield Job.load(folder / JOB)
        return
    with Connection(int(descriptor)) as owner, suppress(EOFError, OSError):
        while True:
            owner.send_bytes(b"ready")
            owner.recv_bytes()
            yield Job.load(folder / JOB)


@cocotb.test()
async def replay(dut: Any) -> None:
    """Run the jobs that the environment names; `runner` and `session` read what they leave."""
    folder = Path(os.environ["GAINCELL_JOB"])
    try:
        spec = load_spec(folder / "spec.json")
        contract = read_contract(Path(os.environ["GAINCELL_CONTRACT"]))
        counter = os.environ["GAINCELL_PROGRESS"]
        front_end, noise = None, []
        for number, job in enumerate(jobs(folder), start=1):
            noise.append(job.head_noise())
            if front_end is None:
                link = (ExactLink if job.exact else ReplayLink)(dut.arrays, spec)
                progress = Counter(Path(counter)) if counter else None
                analog = job.analog(spec, HeadNoise.joined(noise))
                front_end = FrontEnd(dut.arrays, spec, link, progress, analog)
                await start(dut, spec, front_end, job.waves)
                gc.freeze()  # what is loaded now stays; no token's garbage needs the collector
            await run(dut, number, job, front_end)
            outcome(folder, contract, front_end).save(folder / OUTCOME)
    except GaincellError as error:
        write_json(folder / ERROR, {"error": str(error)})
