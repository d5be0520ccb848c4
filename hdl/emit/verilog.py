"""Verilog of the attention head or of a core of several, with its port contract in JSON.

    python -m hdl.emit.verilog --out build/verilog [--heads N]

Beside what Amaranth and Yosys write (`attention_head.v`) there is a simulation view of it
(`attention_head_simulation.v`): the same modules in a form that simulators run faster, and
that Icarus starts as synthesis means it.

The contract tells a testbench all that it needs: ports, where each code lies in a payload, the
cycles of each control signal by schedule, the registers of a core, and the hash of the
specification.
"""

import argparse
import hashlib
import os
from pathlib import Path
from typing import Any

from amaranth import Shape
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from analog_models.spec import DEFAULT_PRESET, HardwareSpec, find_spec
from common.arguments import natural
from common.errors import run_command
from common.files import write_json, write_text
from common.processes import adopted
from hdl.core import MAX_HEADS, AttentionCore, check_core
from hdl.emit.simulation_view import proceduralise
from hdl.head import AttentionHead
from hdl.registers import REGISTERS
from hdl.streams import result_layout, token_layout
from hdl.timeline import timeline

__all__ = ["CORE", "TOP", "VIEW", "emit", "emit_core"]

TOP, CORE = "attention_head", "attention_core"
VIEW = "_simulation"
"""What the file of a simulation view is called behind the name of its top module."""


def emit(spec: HardwareSpec, out_dir: Path) -> dict[str, Any]:
    """Write `attention_head.v`, its simulation view and `attention_head.json` to `out_dir`.

    Returns the contract.
    """
    result = {"out": _lanes(result_layout(spec), 0)}
    return _emit(spec, AttentionHead(spec), TOP, out_dir, {"result__payload": result})


def emit_core(spec: HardwareSpec, heads: int, out_dir: Path) -> dict[str, Any]:
    """The same for a core, `attention_core.*`; its contract holds the registers, too.

    Raises `SpecError` for a number of heads or a window out of range.
    """
    check_core(spec, heads)  # before there is a component, which Amaranth misses in the Verilog
    core = AttentionCore(spec, heads)
    result = _fields(core.result.payload.shape())
    about = {"heads": heads, "registers": _registers()}
    return _emit(spec, core, CORE, out_dir, {"result__payload": result}, about)


def _emit(
    spec: HardwareSpec,
    component: wiring.Component,
    top: str,
    out_dir: Path,
    payloads: dict[str, Any],
    about: dict[str, Any] | None = None,
) -> dict[str, Any]:
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    from amaranth.back import verilog  # reads the environment when it is imported

    with adopted():  # it runs Yosys
        text = verilog.convert(component, name=top, emit_src=False, strip_internal_attrs=True)
    view = proceduralise(text)
    contract = {
        "top": top,
        "preset": spec.name,
        "spec_hash": spec.hash,
        "sha256": _sha256(text),
        "simulation": {"file": f"{top}{VIEW}.v", "sha256": _sha256(view)},
        "clock": {"port": "clk", "period_ps": spec.clock.t_clk_ps},
        "reset": {"port": "rst", "active": "high", "kind": "synchronous"},
        "ports": [_port(*member) for member in component.signature.flatten(component)],
        "payloads": {"token__payload": _fields(token_layout(spec)), **payloads},
        "schedules": {name: _schedule(spec, name) for name in spec.schedules},
        **(about or {}),
    }
    write_text(out_dir / f"{top}.v", text)
    write_text(out_dir / f"{top}{VIEW}.v", view)
    write_json(out_dir / f"{top}.json", contract)
    return contract


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _registers() -> list[dict[str, Any]]:
    return [
        {"address": 4 * number, **register._asdict()} for number, register in enumerate(REGISTERS)
    ]


def _schedule(spec: HardwareSpec, name: str) -> dict[str, Any]:
    """Cycles of a schedule, and the value of the port `schedule` that chooses it."""
    line = timeline(spec, spec.schedules[name])
    return {
        "number": list(spec.schedules).index(name),
        "latency_cycles": line.latency,
        "period_cycles": line.period,
        "intervals": {name: [r.start, r.stop] for name, r in line.intervals.items()},
    }


def _port(path: tuple[str | int, ...], member: Any, value: Any) -> dict[str, Any]:
    return {
        "name": "__".join(map(str, path)),
        "direction": "input" if member.flow == In else "output",
        "width": Shape.cast(value.shape()).width,
    }


def _fields(layout: data.StructLayout) -> dict[str, dict[str, Any]]:
    return {name: _lanes(field.shape, field.offset) for name, field in layout}


def _lanes(shape: Any, offset: int) -> dict[str, Any]:
    """Place of a field in its payload: `lanes` fields of `bits` bits from bit `offset` up."""
    lanes, element = (shape.length, shape.elem_shape) if hasattr(shape, "length") else (1, shape)
    element = Shape.cast(element)
    return {"offset": offset, "lanes": lanes, "bits": element.width, "signed": element.signed}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hdl.emit.verilog", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/verilog"), help="output folder")
    parser.add_argument("--spec", default=DEFAULT_PRESET, help="a preset or a JSON file")
    parser.add_argument(
        "--heads", type=natural(1, MAX_HEADS), metavar="N", help="a core of N heads"
    )
    args = parser.parse_args()
    spec = find_spec(args.spec)
    is_head = args.heads is None
    contract = emit(spec, args.out) if is_head else emit_core(spec, args.heads, args.out)
    top = contract["top"]
    bits = sum(port["width"] for port in contract["ports"])
    print(f"{args.out / top}.v: specification {spec.name} ({spec.hash}), {bits} port bits")
    for name, schedule in contract["schedules"].items():
        cycles, period = schedule["latency_cycles"], schedule["period_cycles"]
        print(f"schedule {name}: {cycles} cycles per token, one every {period}")
    print(f"{args.out / top}{VIEW}.v: the same for simulators")
    print(f"{args.out / top}.json: port contract")
    return 0


if __name__ == "__main__":
    run_command(main)
