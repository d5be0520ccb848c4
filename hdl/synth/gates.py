"""Verilog of a head as gates: the mapped netlist with the functions of its cells, for simulation.

It has the ports of the RTL and takes its place in a testbench.
"""

import hashlib
from pathlib import Path
from typing import Any

from analog_models.spec import HardwareSpec
from common.files import write_json, write_text
from hdl.emit.verilog import TOP, emit
from hdl.synth.cell_library import LIBRARIES, CellLibrary
from hdl.synth.mapping import map_to_cells, write_cell_models

__all__ = ["emit_gates"]


def emit_gates(
    spec: HardwareSpec, out_dir: Path, library: CellLibrary = LIBRARIES["osu018"]
) -> dict[str, Any]:
    """Write what `hdl.emit.verilog.emit` writes, `attention_head.v` being the gates of `library`.

    Returns the contract. Raises `ToolError` if Yosys or the library is missing.
    """
    work = out_dir / "mapping"
    work.mkdir(parents=True, exist_ok=True)
    contract = emit(spec, work)
    map_to_cells(work, TOP, library, contract["clock"]["period_ps"])
    models = write_cell_models(library, work / "cells.v")
    text = (work / "gates.v").read_text("utf-8") + models.read_text("utf-8")
    del contract["simulation"]
    contract |= {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "library": library.name,
    }
    write_text(out_dir / f"{TOP}.v", text)
    write_json(out_dir / f"{TOP}.json", contract)
    return contract
