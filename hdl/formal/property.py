"""What a property is: a statement, a circuit that watches it, and how it is proved and broken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.monitor import Monitor

__all__ = ["Property"]


@dataclass(frozen=True)
class Property:
    """One safety property of a component.

    Attributes
    ----------
    name : str
        Lower case, joined by hyphens; also the name of its output folder.
    statement : str
        What is proved, as a sentence.
    component : str
        Of which component.
    spec : HardwareSpec
        The specification that the component is built for.
    watch : (Design, HardwareSpec) -> Monitor
        Builds the component and the assertions.
    depth : int
        Cycles of the induction, or of the bounded check, from reset.
    broken : Patch
        A change of the design with which the assertions must fail.
    method : "k-induction" or "bmc"
        For all time, or for the first `depth` cycles after the start.
    broken_depth : int
        Cycles within which the broken variant must be caught (`depth` if 0).
    assumes : str
        What the proof takes for granted of the component's surroundings.
    """

    name: str
    statement: str
    component: str
    spec: HardwareSpec
    watch: Callable[[Design, HardwareSpec], Monitor]
    depth: int
    broken: Patch
    method: Literal["k-induction", "bmc"] = "k-induction"
    broken_depth: int = 0
    assumes: str = field(default="nothing")
