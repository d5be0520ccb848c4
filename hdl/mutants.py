"""Mutants of a head's simulation view, each with one small fault, made by Yosys.

Its command is `mutate`. A mutant inverts a port bit of a cell, ties it to a constant, or lets
another bit decide whether it is inverted. Registers lose their initial values, as silicon has none:
faults of a reset then show.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from analog_models.spec import HardwareSpec
from hdl.emit.verilog import TOP, VIEW, emit
from hdl.synth.yosys import run_yosys

__all__ = ["ORIGINAL", "Mutation", "equal_to_original", "list_mutations", "mutants"]

READ = (
    f"read_verilog {TOP}{VIEW}.v\nhierarchy -top {TOP}\nproc\nopt_clean\nsetattr -unset init w:*\n"
)
WHERE = re.compile(r"-(mode|module|cell|port|portbit|wire|src) (\S+)")


class Mutation(NamedTuple):
    """One fault: arguments of `mutate`, and where it is.

    source: line of the Verilog, empty if unknown.
    """

    arguments: str
    mode: str
    module: str
    cell: str
    port: str
    source: str

    @property
    def component(self) -> str:
        """The module without the name of the head."""
        return self.module.removeprefix(TOP).lstrip(".") or "head"

    def __str__(self) -> str:
        return f"{self.component}: {self.mode} {self.cell}.{self.port} {self.source}".strip()


ORIGINAL = Mutation("", "none", TOP, "", "", "")
"""No fault: it has to pass what mutants fail."""


def list_mutations(spec: HardwareSpec, count: int, seed: int, folder: Path) -> list[Mutation]:
    """Emit the Verilog of `spec` to `folder` and draw mutations of it from all its modules.

    Yosys spreads them evenly over modules, cells and source lines. Raises `ToolError`.
    """
    emit(spec, folder)
    run_yosys(f"{READ}mutate -list {count} -seed {seed} -o list.txt\n", folder, "list")
    lines = (folder / "list.txt").read_text("utf-8").splitlines()
    return [_mutation(line.removeprefix("mutate ")) for line in lines]


def _mutation(arguments: str) -> Mutation:
    found = {}
    for name, value in WHERE.findall(arguments):
        found.setdefault(name, value)
    port = f"{found['port']}[{found['portbit']}]"
    source = found.get("src", "")
    return Mutation(arguments, found["mode"], found["module"], found["cell"], port, source)


def mutants(mutations: Sequence[Mutation], folder: Path) -> list[str]:
    """Verilog of each mutant of the head that `list_mutations` has emitted to `folder`.

    A mutation without arguments gives the original, read and written by Yosys. Raises `ToolError`.
    """
    script = [READ, "design -save original"]
    names = [f"mutant_{number}.v" for number in range(len(mutations))]
    for mutation, name in zip(mutations, names, strict=True):
        script.append("design -load original")
        if mutation.arguments:
            script.append(f"mutate {mutation.arguments}")
        script.append(f"write_verilog -noattr {name}")
    run_yosys("\n".join(script) + "\n", folder, "mutants")
    texts = [(folder / name).read_text("utf-8") for name in names]
    for name in names:
        (folder / name).unlink()
    return texts


def equal_to_original(mutation: Mutation, folder: Path) -> bool:
    """Whether Yosys proves by induction that a mutant does what the original does, in any state.

    False says nothing: the two may differ only in states that cannot be reached.
    """
    one = "flatten\nopt_clean\nrename {top} {name}\ndesign -stash {name}\n"
    script = [
        f"{READ}design -save original",
        one.format(top=TOP, name="gold"),
        f"design -load original\nmutate {mutation.arguments}",
        one.format(top=TOP, name="gate"),
        "design -copy-from gold -as gold gold\ndesign -copy-from gate -as gate gate",
        "equiv_make gold gate both\nhierarchy -top both\nopt_clean",
        "equiv_simple -seq 2\nequiv_induct -seq 4\ntee -q -o equal.txt equiv_status",
    ]
    run_yosys("\n".join(script) + "\n", folder, "equal")
    return "Equivalence successfully proven" in (folder / "equal.txt").read_text("utf-8")
