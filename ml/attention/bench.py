"""Measure training's attention, forward and backward, against dense attention, in one run.

Dense attention is the definition, analog_models.attend.causal_attention with the gradients of
ml.attention.surrogate: a T x T product for each power of the cells, masked by its decay, whose
gradients are left to autograd. Times are the least of several rounds, in which the two take turns;
memory is what the peak of a process rises by, one process for each.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analog_models.attend import causal_attention
from analog_models.spec import HardwareSpec, load_preset
from common import processes
from common.arguments import integer
from common.errors import run_command
from common.files import write_json
from common.provenance import provenance
from ml.attention.fast import fast_attention
from ml.attention.surrogate import SurrogateOps
from ml.errors import SettingError

OPS = SurrogateOps()
FOLDER = Path("build/bench-attention")
BASELINE, OURS = "dense", "fast"
WARM_UP_TOKENS = 64
MIB = 1 << 20
GOAL_SPEED, GOAL_MEMORY = 8.0, 1 / 8  # of dense attention's, at 1024 tokens and 12 heads


def form(name: str, spec: HardwareSpec) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The attention of that name, of q, k, v."""
    if name == OURS:
        return lambda q, k, v: fast_attention(spec, q, k, v)
    return lambda q, k, v: causal_attention(spec, q, k, v, OPS)


def codes(spec: HardwareSpec, heads: int, tokens: int) -> list[Tensor]:
    """Random codes q, k, v [1, heads, T, D] about the middle of their range, and weights."""
    generator = torch.Generator().manual_seed(0)
    levels, shape = spec.levels, (4, 1, heads, tokens, spec.geometry.head_dim)
    *signals, weights = torch.randn(shape, generator=generator, device=generator.device)
    ranges = ((levels.q_max, 0.3), (levels.kv_max, 0.5), (levels.kv_max, 0.5))
    drawn = [
        (full * (0.25 * x + middle)).round().clamp(0, full).requires_grad_()
        for x, (full, middle) in zip(signals, ranges, strict=True)
    ]
    return [*drawn, weights]


def run(attend: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: list[Tensor]) -> float:
    """Seconds of one forward and backward pass."""
    q, k, v, weights = inputs
    start = time.perf_counter()
    torch.autograd.grad(attend(q, k, v), (q, k, v), weights)
    return time.perf_counter() - start


def peak_bytes(name: str, heads: int, tokens: int, threads: int) -> int:
    """By how much one pass raises the peak memory of this process, which is to run nothing else."""
    torch.set_num_threads(threads)
    spec = load_preset()
    attend, inputs = form(name, spec), codes(spec, heads, tokens)
    run(form(name, spec), codes(spec, heads, WARM_UP_TOKENS))
    before, ballast = _peak(), []
    while _peak() == before:  # memory may lie below its peak, by what importing took
        ballast.append(b"x" * MIB)
    before = _peak()
    run(attend, inputs)
    return _peak() - before


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(heads: int, tokens: int, rounds: int) -> list[dict[str, Any]]:
    """Seconds and peak bytes of each form."""
    spec, names = load_preset(), (BASELINE, OURS)
    attends, inputs = [form(name, spec) for name in names], codes(spec, heads, tokens)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(rounds + 1):  # the first warms up
        for name, attend in zip(names, attends, strict=True):
            took = run(attend, inputs)
            if repeat:
                seconds[name].append(took)
        print(f"round {repeat} of {rounds}{'' if repeat else ' (warm-up, not counted)'}")
    rows = []
    for name in names:
        with processes.workers(1) as alone:
            arguments = (name, heads, tokens, torch.get_num_threads())
            peak = alone.submit(peak_bytes, *arguments).result()
        rows.append({"form": name, "seconds": seconds[name], "peak_bytes": peak})
    return rows


def report(rows: list[dict[str, Any]], settings: dict[str, Any], folder: Path) -> None:
    """Print the table and write `result.json`."""
    base = next(row for row in rows if row["form"] == BASELINE)
    for row in rows:
        row["least_seconds"] = min(row["seconds"])
        row["speed_ratio"] = min(base["seconds"]) / row["least_seconds"]
        row["memory_ratio"] = row["peak_bytes"] / base["peak_bytes"]
    print("form   seconds  times dense's speed  peak MiB  of dense's")
    for row in rows:
        print(
            f"{row['form']:5} {row['least_seconds']:9.3f} {row['speed_ratio']:20.1f} "
            f"{row['peak_bytes'] / MIB:9.0f} {row['memory_ratio']:11.3f}"
        )
    goal = {"speed_ratio": GOAL_SPEED, "memory_ratio": GOAL_MEMORY}
    result = {**settings, "goal": goal, "rows": rows, **provenance(["torch"])}
    path = write_json(folder / "result.json", result)
    print(f"goal: {GOAL_SPEED:g} times dense's speed in {GOAL_MEMORY:g} of its memory; {path}")


def main(argv: list[str] | None = None) -> int:
    """Command line: measure and report."""
    parser = argparse.ArgumentParser(
        prog="ml.attention.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--heads", type=integer, default=12, metavar="N", help="how many (12)")
    parser.add_argument(
        "--tokens",
        type=integer,
        default=1024,
        metavar="N",
        help="whole sub-tiles (1024, the window)",
    )
    parser.add_argument("--rounds", type=integer, default=3, metavar="N", help="to time (3)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"for results ({FOLDER})")
    options = parser.parse_args(argv)
    geometry = load_preset().geometry
    allowed = range(geometry.subtile, geometry.window + 1, geometry.subtile)
    if options.tokens not in allowed:
        raise SettingError(
            f"tokens is {options.tokens}, must be a multiple of {geometry.subtile} up to "
            f"{geometry.window}, the window"
        )
    for name in ("heads", "rounds"):
        if getattr(options, name) < 1:
            raise SettingError(f"{name} is {getattr(options, name)}, must be above 0")
    settings = {"heads": options.heads, "tokens": options.tokens, "spec_hash": load_preset().hash}
    settings["threads"] = torch.get_num_threads()
    report(measure(options.heads, options.tokens, options.rounds), settings, options.folder)
    return 0


if __name__ == "__main__":
    run_command(main)
