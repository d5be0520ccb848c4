"""Co-simulate a core: heads of the shipped model in step, driven over AXI4-Lite and AXI-Stream.

    python -m cosim.core [--heads N] [--tokens N] [--schedule NAME] [--pauses]

A maintained bus library drives the ports, the analog model is on the pins of every head, and every
output code is compared with the golden vectors.
"""

import argparse
from pathlib import Path

import numpy as np

from analog_models.spec import HardwareSpec, load_preset
from common.arguments import natural
from common.errors import run_command
from common.files import write_json, write_text
from common.provenance import provenance
from common.tables import table
from cosim.arguments import add_schedule, command_parser
from cosim.reference.golden_streams import load_golden
from cosim.run.building import BUILD_ROOT, SIMULATORS, Build, compiled, emitted, pin_parameters
from cosim.run.core_job import CoreJob, CoreOutcome
from cosim.run.job import JOB
from hdl.core import MAX_HEADS
from hdl.emit.contract import port_widths, read_contract
from hdl.emit.verilog import CORE, emit_core

__all__ = ["simulate_core"]

SIMULATOR = "icarus"
BENCH = Path(__file__).parent / "testbench" / "core_testbench.v"


def simulate_core(spec: HardwareSpec, job: CoreJob, *, say: bool = False) -> CoreOutcome:
    """Feed `job` to a core of `spec` in Icarus, coupled to the analog model.

    say: tell on stderr what is compiled. Raises `CodeError` for a job that does not fit,
    `ToolError` without a simulator, `GaincellError` if the simulation finds a fault.
    """
    job.check(spec, job.heads)

    def fill(folder: Path) -> None:
        job.save(folder / JOB)

    build = _build(spec, job.heads, say)
    return build.run_test("cosim.testbench.core_replay", fill, CoreOutcome.load)


def _build(spec: HardwareSpec, heads: int, say: bool) -> Build:
    SIMULATORS[SIMULATOR].check()
    bench = BENCH.read_text("utf-8").replace("`CORE_PINS", _connections(heads))

    def write(folder: Path) -> None:
        emit_core(spec, heads, folder)
        write_text(folder / BENCH.name, bench)

    what = f"the Verilog of {heads} heads (about 15 s)" if say else ""
    folder = emitted(BUILD_ROOT, what, write, CORE, spec.hash, heads, bench)
    path = folder / f"{CORE}.json"
    contract = read_contract(path)
    parameters = pin_parameters(spec, contract, "pins__0")
    parameters |= {"HEADS": heads, "ADDR_BITS": port_widths(contract)["bus__awaddr"]}
    sources = [folder.resolve() / BENCH.name, BENCH.with_name("array_side.v")]
    return compiled(spec, SIMULATOR, path, sources, parameters, BUILD_ROOT, say=say)


def _connections(heads: int) -> str:
    """Port connections of every head's pins."""
    wires = {
        **{f"write__{name}": f"write_{name}" for name in ("code", "slot")},
        **{f"write__{name}": name for name in ("strobe_k", "strobe_v")},
        **{name: name for name in ("q_pulse", "row")},
    }
    lines = [
        f".pins__{head}__{pin}({wire}[{head}]),"
        for head in range(heads)
        for pin, wire in wires.items()
    ]
    for head in range(heads):
        turned = f"{{OUTPUTS{{sign_turned[{head}]}}}}"
        lines += [
            f".pins__{head}__phi(phi[{head}] | phi_stuck[{head}]),",
            f".pins__{head}__out_pulse(out_pulse[{head}] | out_stuck[{head}]),",
            f".pins__{head}__out_negative(out_negative[{head}] ^ {turned}),",
        ]
    return "\n      ".join(lines)


def main() -> int:
    """Command line: 0 if all codes agree, 1 if not, 2 on an error."""
    args = _arguments()
    spec = load_preset()
    passage = load_golden(spec, args.golden).by_query_head()
    codes = {name: _token_major(passage[name], args.heads, args.tokens) for name in (*"qkv", "out")}
    heads = codes["q"].shape[1]
    schedule = args.schedule or next(iter(spec.schedules))
    job = CoreJob(
        *(codes[name] for name in "qkv"),
        flush=np.arange(len(codes["q"])) == 0,
        query_only=np.zeros(len(codes["q"]), dtype=np.uint8),
        schedule=spec.schedule_number(schedule),
        window_length=spec.geometry.window,
        pauses=args.pauses,
    )
    outcome = simulate_core(spec, job, say=True)
    wrong = (outcome.out.reshape(codes["out"].shape) != codes["out"]).sum(axis=(0, 2))
    ends = outcome.cycles[heads - 1 :: heads]
    between = float(np.median(np.diff(ends))) if len(ends) > 1 else None
    print(
        table(["head", "tokens", "mismatches"], [[h, job.tokens, n] for h, n in enumerate(wrong)])
    )
    print(f"\ncycles between tokens: {between}, schedule {schedule}\n")
    print(table(["register", "content"], list(outcome.registers.items())))
    result = {
        "spec_hash": spec.hash,
        "heads": heads,
        "schedule": schedule,
        "head_tokens": job.tokens * heads,
        "mismatches": int(wrong.sum()),
        "cycles_between_tokens": between,
        "registers": outcome.registers,
        **provenance(("amaranth", "cocotb", "cocotbext-axi", "numpy")),
    }
    print(f"result: {write_json(args.build / 'core' / 'result.json', result)}")
    return 1 if result["mismatches"] or outcome.registers["errors"] else 0


def _token_major(codes: np.ndarray, heads: int, tokens: int) -> np.ndarray:
    """The first heads and tokens of [layer, head, token, d] as [token, head, d]."""
    return codes.reshape(-1, *codes.shape[2:])[:heads, :tokens].swapaxes(0, 1)


def _arguments() -> argparse.Namespace:
    parser = command_parser("core", __doc__)
    add_schedule(parser, "the first")
    add = parser.add_argument
    add(
        "--heads",
        type=natural(1, MAX_HEADS),
        default=4,
        metavar="N",
        help=f"heads of the core, up to {MAX_HEADS} (4)",
    )
    add("--tokens", type=natural(1), default=24, metavar="N", help="tokens of each head (24)")
    add("--pauses", action="store_true", help="random back-pressure on both streams")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
