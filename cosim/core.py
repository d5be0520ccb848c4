"""Co-simulate a core: heads of the shipped model in step, driven over AXI4-Lite and AXI-Stream.

    python -m cosim.core [--heads N] [--tokens N] [--schedule NAME] [--pauses]

A maintained bus library drives the ports, the analog model is on the pins of every head, and every
output code is compared with the golden vectors.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.errors import run_command
from analog_models.files import read_json, write_json
from analog_models.provenance import provenance
from analog_models.spec import HardwareSpec, load_preset
from cosim.arguments import add_schedule, command_parser, natural
from cosim.core_job import CoreJob, CoreOutcome
from cosim.golden import load_golden
from cosim.pulses import width_bits
from cosim.runner import BUILD_ROOT, SIMULATORS, Build, digest, made_once, sources_of_rtl
from cosim.table import table
from hdl.verilog import CORE, emit_core

__all__ = ["simulate_core"]

SIMULATOR = "icarus"
HERE = Path(__file__).parent


def simulate_core(
    spec: HardwareSpec, job: CoreJob, build_root: Path = BUILD_ROOT, say: bool = False
) -> CoreOutcome:
    """Feed `job` to a core of `spec` in Icarus, coupled to the analog model.

    say: tell on stderr what is compiled. Raises `CodeError` for a job that does not fit,
    `ToolError` without a simulator, `GaincellError` if the simulation finds a fault.
    """
    job.check(spec, job.heads)
    compiled = _build(spec, job.heads, build_root, say)

    def fill(folder: Path) -> None:
        job.save(folder / "job.safetensors")

    return compiled.run_test("cosim.core_replay", fill, CoreOutcome.load)


def _build(spec: HardwareSpec, heads: int, build_root: Path, say: bool) -> Build:
    simulator = SIMULATORS[SIMULATOR]
    simulator.check()
    verilog = build_root / "verilog" / digest(spec.hash, heads, *sources_of_rtl())
    with made_once(verilog, f"the Verilog of {heads} heads (about 15 s)" if say else ""):
        path = verilog / f"{CORE}.json"
        contract = read_json(path) if path.exists() else emit_core(spec, heads, verilog)
    side = HERE / "array_side.v"
    text = (HERE / "core_testbench.v").read_text()
    bench = text.replace("`CORE_PINS", _connections(heads))
    parameters = _parameters(spec, contract, heads)
    identity = digest(contract["sha256"], bench, side.read_text(), simulator.version(), parameters)
    folder = (build_root / SIMULATOR / identity).resolve()
    with made_once(folder, "the simulation" if say else "") as missing:
        if missing:
            source = folder / "core_testbench.v"
            source.write_text(bench)
            files = [verilog.resolve() / f"{CORE}.v", source, side]
            simulator.compile(files, parameters, folder, waves=False)
    return Build(spec, simulator, folder, path.resolve())


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


def _parameters(spec: HardwareSpec, contract: dict[str, Any], heads: int) -> dict[str, int]:
    width = {port["name"]: port["width"] for port in contract["ports"]}
    return {
        "T_CLK": spec.clock.t_clk_ps,
        "HEADS": heads,
        "ADDR_BITS": width["bus__awaddr"],
        "DIM": width["pins__0__q_pulse"],
        "WINDOW": width["pins__0__phi"],
        "OUTPUTS": width["pins__0__out_pulse"],
        "TOKEN_BITS": width["token__payload"],
        "RESULT_BITS": width["result__payload"],
        "SLOT_BITS": width["pins__0__write__slot"],
        "CODE_BITS": width["pins__0__write__code"],
        "SCORE_CYCLES": max(len(s.phases["score"]) for s in spec.schedules.values()),
        "WIDTH_BITS": width_bits(spec),
    }


def main() -> int:
    """Command line: 0 if all codes agree, 1 if not, 2 on an error."""
    args = _arguments()
    spec = load_preset()
    passage = load_golden(spec, args.golden).passage
    codes = {name: _token_major(passage[name], args.heads, args.tokens) for name in (*"qkv", "out")}
    heads = codes["q"].shape[1]
    number = spec.schedule_number(args.schedule) if args.schedule else 0
    job = CoreJob(
        *(codes[name] for name in "qkv"),
        flush=np.arange(len(codes["q"])) == 0,
        query_only=np.zeros(len(codes["q"]), dtype=np.uint8),
        schedule=number,
        window_length=spec.geometry.window,
        pauses=args.pauses,
    )
    outcome = simulate_core(spec, job, args.build, say=True)
    wrong = (outcome.out.reshape(codes["out"].shape) != codes["out"]).sum(axis=(0, 2))
    ends = outcome.cycles[heads - 1 :: heads]
    between = float(np.median(np.diff(ends))) if len(ends) > 1 else None
    print(
        table(["head", "tokens", "mismatches"], [[h, job.tokens, n] for h, n in enumerate(wrong)])
    )
    print(f"\ncycles between tokens: {between}, schedule {list(spec.schedules)[number]}\n")
    print(table(["register", "content"], list(outcome.registers.items())))
    result = {
        "spec_hash": spec.hash,
        "heads": heads,
        "schedule": list(spec.schedules)[number],
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
    add("--heads", type=natural(1), default=4, metavar="N", help="heads of the core, up to 16 (4)")
    add("--tokens", type=natural(1), default=24, metavar="N", help="tokens of each head (24)")
    add("--pauses", action="store_true", help="random back-pressure on both streams")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
