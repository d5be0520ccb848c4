"""The port contract of emitted Verilog as its readers find it: checked, or refused."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from common.errors import ArtefactError
from common.files import read_json
from common.records import Record

__all__ = ["Widths", "port_widths", "read_contract", "simulated"]

Name = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
Bits = Annotated[int, Field(ge=1, le=2**24)]


class _Port(Record):
    name: Name
    direction: Literal["input", "output"]
    width: Bits


class _Lanes(Record):
    offset: Annotated[int, Field(ge=0, le=2**24)]
    lanes: Bits
    bits: Annotated[int, Field(ge=1, le=16)]
    signed: bool


class _Clock(Record):
    port: Name
    period_ps: Annotated[int, Field(gt=0)]


class _Reset(Record):
    port: Name


class _Register(Record):
    name: Name
    address: Annotated[int, Field(ge=0, le=2**16)]


class _Simulation(Record):
    file: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.v$", max_length=200)]
    sha256: str


class _Contract(Record):
    top: Name
    sha256: str
    simulation: _Simulation | None = None
    clock: _Clock
    reset: _Reset
    ports: list[_Port]
    payloads: dict[str, dict[str, _Lanes]]
    heads: Annotated[int, Field(ge=1, le=1024)] = 1
    registers: list[_Register] = Field(default_factory=list)

    @model_validator(mode="after")
    def _payloads_fit(self) -> Self:
        width = {port.name: port.width for port in self.ports}
        for name in ("token__payload", "result__payload"):
            if name not in self.payloads or name not in width:
                raise ValueError(f"has no port and payload {name}")
        for name, fields in self.payloads.items():
            for field, of in fields.items():
                if of.offset + of.lanes * of.bits > width.get(name, 0):
                    raise ValueError(f"payloads.{name}.{field} reaches beyond its port")
        return self


class Widths(dict[str, int]):
    """Width of each port in bits, by name. Raises `ArtefactError` for one that is not there."""

    def __missing__(self, name: str) -> int:
        raise ArtefactError(f"the port contract has no port {name}; remove the build folder")


def read_contract(path: Path) -> dict[str, Any]:
    """The contract in a file. Raises `ArtefactError`, naming field, value and what is needed."""
    tree = read_json(path)
    try:
        _Contract.of(tree, path)
    except ArtefactError as error:
        raise ArtefactError(f"{error}; remove its folder, and it is written anew") from error
    return tree


def simulated(path: Path) -> tuple[Path, str]:
    """The Verilog that simulators run, and its SHA-256, of the contract in a file.

    It is the simulation view where there is one, else the Verilog itself.
    """
    contract = read_contract(path)
    view = contract.get("simulation")
    if view is None:
        return path.with_suffix(".v"), contract["sha256"]
    return path.with_name(view["file"]), view["sha256"]


def port_widths(contract: dict[str, Any]) -> Widths:
    """Width of each port."""
    return Widths((port["name"], port["width"]) for port in contract["ports"])
