"""A co-simulated stream with its comparison: what `sim`, `verify` and `bench` have in common."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.provenance import provenance
from analog_models.spec import HardwareSpec
from cosim.check import Mismatch, compare
from cosim.golden import Stream
from cosim.job import Job, Outcome
from cosim.rates import signal_rates
from cosim.runner import SIMULATOR, simulate

__all__ = ["Run", "describe", "replay"]


@dataclass(frozen=True)
class Run:
    """One stream that was replayed, with what differed from its golden output codes."""

    name: str
    schedule: str
    job: Job
    outcome: Outcome
    mismatches: int
    first: Mismatch | None
    rates: dict[str, tuple[float, float]]

    @property
    def cycles_per_token(self) -> float:
        """Median of the cycles from accepting a token to its valid result."""
        return float(np.median(self.outcome.cycles))

    @property
    def cycles_between_tokens(self) -> float | None:
        """Median of the cycles between two accepted tokens; None for a single token."""
        if self.job.tokens < 2:
            return None
        return float(np.median(np.diff(self.outcome.accepted)))

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
            "head_tokens_per_second": self.job.tokens / self.outcome.wall_s,
            "max_gap_cycles": self.job.max_gap,
            "max_stall_cycles": self.job.max_stall,
            "rates": {
                name: {"lowest": low, "highest": high} for name, (low, high) in self.rates.items()
            },
        }


def replay(
    spec: HardwareSpec, stream: Stream, schedule: str, build_root: Path, **options: Any
) -> Run:
    """Co-simulate a golden stream on the full head and compare every output code."""
    job = stream.job(spec, schedule, **options)
    outcome = simulate(spec, job, build_root=build_root, label=stream.name)
    mismatches, first = compare(spec, job, stream.heads, stream.out, outcome)
    rates = signal_rates(spec, job, outcome)
    return Run(stream.name, schedule, job, outcome, mismatches, first, rates)


def describe(spec: HardwareSpec, runs: list[Run]) -> dict[str, Any]:
    """What a result file says of several runs together."""
    tokens = sum(run.job.tokens for run in runs)
    cycles = np.concatenate([run.outcome.cycles for run in runs])
    return {
        "spec": spec.name,
        "spec_hash": spec.hash,
        "head_tokens": tokens,
        "mismatches": sum(run.mismatches for run in runs),
        "cycles_per_token": float(np.median(cycles)),
        "head_tokens_per_second": tokens / sum(run.outcome.wall_s for run in runs),
        "simulator": f"{SIMULATOR} {_simulator_version()}",
        "runs": [run.result() for run in runs],
        **provenance(("amaranth", "cocotb", "numpy", "safetensors")),
    }


def _simulator_version() -> str:
    program = shutil.which("iverilog")
    if program is None:
        return "unknown"
    output = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout
    words = output.split()
    return words[3] if len(words) > 3 else "unknown"
