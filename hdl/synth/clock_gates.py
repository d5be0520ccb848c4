"""Clock gates that each serve few flip-flops.

Yosys gives all flip-flops with the same enable one clock gate, which no single cell could drive a
thousand of. Here such a gate becomes as many as needed, each beside the flip-flops it serves. That
also keeps the clock network one level deep.
"""

from typing import Any

__all__ = ["CLOCK_GATE", "split_clock_gates"]

CLOCK_GATE = "clock_gate"


def split_clock_gates(netlist: dict[str, Any], most_flops: int) -> int:
    """Split the gates of a netlist (Yosys's JSON, in place); returns how many there are then.

    most_flops: the most flip-flops that one gate may serve; they are shared out evenly.
    """
    return sum(_split(module, most_flops) for module in netlist["modules"].values())


def _split(module: dict[str, Any], most_flops: int) -> int:
    cells = module["cells"]
    gates = {name: cell for name, cell in cells.items() if cell["type"] == CLOCK_GATE}
    served: dict[int, list[list[Any]]] = {
        gate["connections"]["gated"][0]: [] for gate in gates.values()
    }
    for cell in cells.values():
        if cell["type"] == CLOCK_GATE:
            continue
        for bits in cell["connections"].values():
            if len(bits) == 1 and bits[0] in served:
                served[bits[0]].append(bits)
    fresh = 1 + max((bit for bit in _bits(module) if isinstance(bit, int)), default=1)
    total = 0
    for name, gate in gates.items():
        pins = served[gate["connections"]["gated"][0]]
        copies = max(1, -(-len(pins) // most_flops))
        total += copies
        for copy in range(1, copies):
            cells[f"{name}_{copy}"] = {
                **gate,
                "connections": {**gate["connections"], "gated": [fresh]},
            }
            for bits in pins[copy::copies]:
                bits[0] = fresh
            fresh += 1
    return total


def _bits(module: dict[str, Any]) -> list[Any]:
    groups = [
        *(net["bits"] for net in module["netnames"].values()),
        *(bits for cell in module["cells"].values() for bits in cell["connections"].values()),
    ]
    return [bit for bits in groups for bit in bits]
