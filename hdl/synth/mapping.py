"""Maps the Verilog of a head to the cells of a library, component by component.

Each component is mapped on its own, with buffers wherever a net has many readers, and is put
together with the others unflattened, so that every cell belongs to one component.
"""

import os
import re
from pathlib import Path
from typing import Any

from common.files import read_json, write_json, write_text
from common.processes import threads
from hdl.synth.cell_library import CellLibrary
from hdl.synth.clock_gates import CLOCK_GATE, split_clock_gates
from hdl.synth.yosys import beside, run_yosys

__all__ = ["MOST_READERS", "map_to_cells", "write_cell_models"]

MOST_READERS = 12
"""Most readers of a net inside a component; more get a tree of buffers."""
LOGIC_SHARE = 0.75
"""Share of a clock cycle that logic may take; the rest goes to flip-flops and components around."""
LEAST_GATED = 8
"""Fewest flip-flops with one enable that get a clock gate instead of a multiplexer each."""

# Enables become clock gates; synchronous resets become logic. Full adders are found in the gates.
LOGIC = """
read_verilog {top}.v
hierarchy -check -top {top}
proc
opt_expr; opt_clean; opt -nosdff; wreduce; peepopt; opt_clean; alumacc; share
opt -full -nosdff; techmap; opt -nosdff
extract_fa -d 8 -b 6 -fa; opt_clean
clockgate -pos {gate} enable:clk:gated -min_net_size {least}
opt -nodffe -nosdff
dfflibmap -liberty {liberty}
opt_clean
write_json logic.json
"""
# Only the first `abc` of a process inserts buffers, hence a process for each component.
COMPONENT = """
read_json {stem}.logic.json
techmap -map {techmap}
opt_clean
abc -liberty {liberty} -constr {constraints} -D {period_ps} -script {script}
opt_clean -purge
write_json {stem}.cells.json
"""
ABC = (
    "+strash;ifraig;scorr;dc2;dch,-f;map,-B,0.9;topo;"
    "buffer,-c,-p,-N,{readers};upsize,-D,{period_ps};dnsize,-D,{period_ps}"
)
# The same cells twice: by component for analysis, and flat for simulation. Without `splitnets`, and
# with ports inside, an event simulator evaluates wide buses whole for every bit.
WHOLE = """
read_liberty -lib -ignore_miss_func {liberty}
{reads}
hierarchy -top {top}
splitnets
opt_clean -purge
rename -enumerate -pattern cell_% t:*
tee -q -o stat.json stat -json -liberty {liberty}
write_verilog -noattr -noexpr netlist.v
write_json netlist.json
flatten
splitnets
opt_clean -purge
write_verilog -noattr -noexpr gates.v
"""
REGISTER = re.compile(r"^  reg (\w+);$", re.MULTILINE)
MODELS = """
read_liberty -ignore_miss_func {liberty}
{others}
write_verilog -noattr {name}
"""


def map_to_cells(folder: Path, top: str, library: CellLibrary, period_ps: int) -> dict[str, Any]:
    """Map `TOP.v` in `folder` to cells: `netlist.v` and `.json` by component, `gates.v` flat.

    Returns Yosys's `stat -json -liberty`: cells by type and area of each module. period_ps: the
    delay that the cells' sizes aim at. Raises `ToolError` if Yosys or the library is missing.
    """
    liberty = beside(folder, library.liberty())
    techmap = beside(folder, library.techmap)
    run_yosys(
        LOGIC.format(top=top, gate=CLOCK_GATE, least=LEAST_GATED, liberty=liberty),
        folder,
        "logic",
    )
    logic = read_json(folder / "logic.json")
    split_clock_gates(logic, library.flops_per_clock_gate)
    constraints = f"set_driving_cell {library.driver}\nset_load {library.load_ff}\n"
    (folder / "abc.constr").write_text(constraints, "utf-8")
    aim_ps = round(LOGIC_SHARE * period_ps)
    stems = []
    for name, module in logic["modules"].items():
        stem = name.replace("\\", "")
        write_json(folder / f"{stem}.logic.json", {"modules": {name: module}})
        stems.append(stem)

    def map_one(stem: str) -> None:
        script = ABC.format(readers=MOST_READERS, period_ps=aim_ps)
        text = COMPONENT.format(
            stem=stem,
            techmap=techmap,
            liberty=liberty,
            constraints="abc.constr",
            period_ps=aim_ps,
            script=script,
        )
        run_yosys(text, folder, f"{stem}.cells")

    with threads(os.cpu_count() or 1) as pool:
        list(pool.map(map_one, stems))
    reads = "\n".join(f"read_json {stem}.cells.json" for stem in stems)
    run_yosys(WHOLE.format(reads=reads, top=top, liberty=liberty), folder, "whole")
    return read_json(folder / "stat.json")


def write_cell_models(library: CellLibrary, path: Path) -> Path:
    """Write the function of each cell in Verilog, as the Liberty file gives it.

    Registers power up at random, as they do in silicon: from unknown values a simulator would not
    come out by the reset, where a gate sees a register both ways and one of them is 1.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    others = [f"delete {cell}" for cell in library.unusable]
    if library.models:
        others.append(f"read_verilog {beside(path.parent, library.models)}\nproc")
    liberty = beside(path.parent, library.liberty())
    script = MODELS.format(liberty=liberty, others="\n".join(others), name=path.name)
    run_yosys(script, path.parent, path.stem)
    write_text(path, REGISTER.sub(r"\g<0>\n  initial \1 = $urandom;", path.read_text("utf-8")))
    return path
