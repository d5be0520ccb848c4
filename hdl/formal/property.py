"""What a property is: a statement, a circuit that watches it, and how it is proved and broken."""

from collections.abc import Callable
from dataclasses import dataclass

from analog_models.spec import HardwareSpec
from hdl.formal.design import Design, Patch
from hdl.formal.property_circuit import Monitor

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
        Cycles k of the induction.
    broken : Patch
        A change of the design that violates the property.
    caught_within : int
        Cycles from the start within which it must do so.
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
    caught_within: int
    assumes: str = "nothing"
