"""Wide combinational logic as procedural blocks, which event-driven simulators run much faster.

Yosys writes one continuous assignment per gate. Icarus then evaluates each of them bit by bit, and
again whenever one of its inputs settles: dozens of times a cycle in a deep adder. In a procedural
block, in the order of the data flow, each is evaluated once per change and in whole words. The
logic is the same, and the result is what gets simulated and synthesised alike.
"""

import re
from graphlib import TopologicalSorter

__all__ = ["proceduralise"]

IDENTIFIER = r"\\\S+|[A-Za-z_][\w$]*"
VECTOR = re.compile(rf"  wire (\[\d+:0\]) ({IDENTIFIER}) ?;")
ASSIGNMENT = re.compile(rf"  assign ({IDENTIFIER}) +=(.*[&|^~?].*);")


def proceduralise(verilog: str) -> str:
    """Move the vector assignments that compute something into one `always @*` per module."""
    modules = re.split(r"(?<=^endmodule$)", verilog, flags=re.MULTILINE)
    return "".join(map(_module, modules))


def _module(text: str) -> str:
    lines = text.split("\n")
    vectors = {match[2] for line in lines if (match := VECTOR.fullmatch(line))}
    expressions = {
        match[1]: match[2]
        for line in lines
        if (match := ASSIGNMENT.fullmatch(line)) and match[1] in vectors
    }
    if not expressions:
        return text
    kept = []
    for line in lines:
        assignment, vector = ASSIGNMENT.fullmatch(line), VECTOR.fullmatch(line)
        if vector and vector[2] in expressions:
            kept.append(f"  reg {vector[1]} {vector[2]} ;")
        elif not (assignment and assignment[1] in expressions):
            kept.append(line)
    end = kept.index("endmodule")
    return "\n".join([*kept[:end], *_block(expressions), *kept[end:]])


def _block(expressions: dict[str, str]) -> list[str]:
    """One block that computes `expressions`, each after those that it reads."""
    reads = {
        name: [read for read in re.findall(IDENTIFIER, text) if read in expressions]
        for name, text in expressions.items()
    }
    order = TopologicalSorter(reads).static_order()
    return [
        "  // evaluated once at the start of a simulation, then at each change of what it reads",
        "  reg evaluate = 0;",
        "  initial evaluate = 1;",
        "  always @* begin",
        "    if (evaluate) begin end",
        *(f"    {name} ={expressions[name]};" for name in order),
        "  end",
    ]
