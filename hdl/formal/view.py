"""Proves that a simulation view is the Verilog that it stands for.

Yosys pairs the wires of the two by name, registers among them, and merges what computes the same
from the same: logic, and registers that start with the same value. They are equal if nothing is
left that only one of them has. Nothing is assumed of inputs.

Yosys does not see in which order a block assigns. The view sorts that, and simulations show it.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from common.errors import ToolError
from hdl.emit.verilog import VIEW
from hdl.synth.yosys import run_yosys

__all__ = ["ViewProof", "prove_view"]

ONE = """
read_verilog {file}
hierarchy -check -top {top}
proc
memory
flatten
opt_expr
opt_clean
rename {top} {name}
design -stash {name}
"""
BOTH = """
design -copy-from gold -as gold gold
design -copy-from gate -as gate gate
equiv_make gold gate both
hierarchy -top both
opt_clean
opt_merge
opt_clean
tee -q -o equal.txt equiv_status
"""
PROVEN = re.compile(r"those cells ([1-9]\d*) are proven and 0 are unproven")
UNPROVEN = re.compile(r"Unproven \$equiv \S+: (\S+) ")


@dataclass(frozen=True)
class ViewProof:
    """What Yosys says of a simulation view.

    Attributes
    ----------
    top : str
        Its top module.
    bits : int
        Bits of wires that were compared and are equal.
    fault : str
        Where the two differ; empty if they are proved equal.
    seconds : float
        Wall time.
    """

    top: str
    bits: int
    fault: str
    seconds: float


def prove_view(top: str, folder: Path) -> ViewProof:
    """Compare `TOP.v` in `folder` with its simulation view there.

    Raises `ToolError` if Yosys is missing or fails, as it does for other ports or modules.
    """
    start = time.perf_counter()
    files = {"gold": f"{top}.v", "gate": f"{top}{VIEW}.v"}
    parts = [ONE.format(file=file, top=top, name=name) for name, file in files.items()]
    run_yosys("".join([*parts, BOTH]), folder, "equal")
    said = (folder / "equal.txt").read_text("utf-8")
    proven, unproven = PROVEN.search(said), UNPROVEN.search(said)
    if not proven and not unproven:
        raise ToolError(f"Yosys compared nothing: see {folder / 'equal.txt'}")
    fault = f"not proved equal at {unproven[1]}" if unproven else ""
    bits = int(proven[1]) if proven else 0
    return ViewProof(top, bits, fault, time.perf_counter() - start)
