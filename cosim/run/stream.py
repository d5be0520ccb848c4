"""A co-simulated stream with its comparison: what `sim` and `verify` have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analog_models.spec import HardwareSpec
from common.provenance import provenance
from cosim.reference.comparison import Mismatch, compare, golden_codes
from cosim.reference.drift import Drift
from cosim.reference.golden_streams import Stream
from cosim.reference.rates import signal_rates
from cosim.run.building import build
from cosim.run.job import Job, Outcome
from cosim.run.simulators.simulator import Simulator
from cosim.run.workers import run_jobs

__all__ = ["Replay", "Run", "replay"]


@dataclass(frozen=True)
class Run:
    """One stream that was replayed, with what differed from the golden output codes.

    drift: what imperfections did to the codes, None without any.
    """

    name: str
    schedule: str
    job: Job
    outcome: Outcome
    mismatches: int
    first: Mismatch | None
    rates: dict[str, tuple[float, float]]
    drift: Drift | None = None

    @property
    def cycles_per_token(self) -> float:
        """Median of the cycles from accepting a token to its valid result."""
        return float(np.median(self.outcome.cycles))

    @property
    def cycles_between_tokens(self) -> float | None:
        """Median of the cycles between two accepted tokens of a sequence; None without such."""
        between = np.diff(self.outcome.accepted)[self.job.flush[1:] == 0]
        return float(np.median(between)) if len(between) else None

    @property
    def head_tokens_per_second(self) -> float:
        """Of one worker."""
        return self.job.tokens / float(self.outcome.wall_s.sum())

    def result(self) -> dict[str, Any]:
        """What a result file says of this run."""
        return {
            "name": self.name,
            "schedule": self.schedule,
            "head_tokens": self.job.tokens,
            "mismatches": self.mismatches,
            "first_mismatch": str(self.first) if self.first else None,
            "cycles_per_token": self.cycles_per_token,
            "cycles_per_token_range": [int(f(self.outcome.cycles)) for f in (np.min, np.max)],
            "cycles_between_tokens": self.cycles_between_tokens,
            "head_tokens_per_second_of_a_worker": self.head_tokens_per_second,
            "max_gap_cycles": self.job.max_gap,
            "max_stall_cycles": self.job.max_stall,
            "device": self.job.device,
            "drift": self.drift and self.drift._asdict(),
            "rates": {
                name: {"lowest": low, "highest": high} for name, (low, high) in self.rates.items()
            },
        }


@dataclass(frozen=True)
class Replay:
    """Golden streams that were replayed together.

    wall_s: seconds that the slowest of the workers spent simulating.
    """

    spec: HardwareSpec
    simulator: Simulator
    workers: int
    runs: list[Run]
    wall_s: float

    @property
    def head_tokens(self) -> int:
        return sum(run.job.tokens for run in self.runs)

    @property
    def mismatches(self) -> int:
        return sum(run.mismatches for run in self.runs)

    def result(self) -> dict[str, Any]:
        """What a result file says of all runs together."""
        off = self.spec.imperfections.off
        cycles = np.concatenate([run.outcome.cycles for run in self.runs])
        return {
            "spec": self.spec.name,
            "spec_hash": self.spec.hash,
            "imperfections": None if off else self.spec.imperfections.model_dump(),
            "head_tokens": self.head_tokens,
            "mismatches": self.mismatches,
            "cycles_per_token": float(np.median(cycles)),
            "head_tokens_per_second": self.head_tokens / self.wall_s,
            "simulator": f"{self.simulator.name} {self.simulator.version()}",
            "workers": self.workers,
            "seed": self.runs[0].job.seed,
            "runs": [run.result() for run in self.runs],
            **provenance(("amaranth", "cocotb", "numpy", "safetensors")),
        }

    def print_mismatches(self) -> None:
        """Print where each run first went wrong, if it did."""
        for run in self.runs:
            if run.first:
                print(f"MISMATCH in {run.name}, {run.schedule}: {run.first}")


def replay(
    spec: HardwareSpec,
    streams: Sequence[Stream],
    schedules: Sequence[str],
    simulator: str,
    workers: int,
    gates: bool = False,
    **options: Any,
) -> Replay:
    """Co-simulate golden streams in each of the schedules and compare every output code.

    They are compared with the golden vectors or, if `spec` has imperfections, with what the golden
    head makes of the same codes on the same hardware with the same noise.

    gates: take the gates that the head is synthesised to instead of its RTL. options: those of
    `Job`, for all streams. Raises what `Build.run` raises.
    """
    chosen = [(name, stream) for name in schedules for stream in streams]
    jobs = [stream.job(spec, name, **options) for name, stream in chosen]
    compiled = build(spec, simulator, gates=gates, say=True)
    outcomes, wall_s = run_jobs(compiled, jobs, workers, label=f"{simulator} x {workers}")
    runs = []
    for (schedule, stream), job, outcome in zip(chosen, jobs, outcomes, strict=True):
        expected, drift = stream.out, None
        if not spec.imperfections.off:
            expected, drift = golden_codes(spec, job), Drift.between(outcome.out, stream.out)
        mismatches, first = compare(spec, job, stream.heads, expected, outcome)
        rates = signal_rates(spec, job, outcome)
        runs.append(Run(stream.name, schedule, job, outcome, mismatches, first, rates, drift))
    return Replay(spec, compiled.simulator, workers, runs, wall_s)
