"""Wide combinational logic as procedural blocks, which event-driven simulators run much faster.

Yosys writes one continuous assignment per gate. Icarus evaluates each of them bit by bit, again
whenever one of its inputs settles (dozens of times a cycle in a deep adder), and a concatenation
whole for every bit that changes. In a procedural block, in the order of the data flow, each is
evaluated once per change and in whole words. The logic is the same, and this form of it is what
gets simulated and synthesised alike.
"""

import re
from collections import Counter
from graphlib import TopologicalSorter

__all__ = ["proceduralise"]

IDENTIFIER = re.compile(r"\\\S+|[A-Za-z_][\w$]*")
VECTOR = re.compile(rf"  wire (\[\d+:0\]) ({IDENTIFIER.pattern}) ?;")
ASSIGNMENT = re.compile(rf"  assign ({IDENTIFIER.pattern}) +=(.*);")
COMPUTES = re.compile(r"[&|^~?{]")
GUARD = re.compile(r"^  reg (\\\$auto\$verilog_backend\S+) +=\s*0;$", re.MULTILINE)


def proceduralise(verilog: str) -> str:
    """Move the vector assignments that compute something into one `always @*` per module.

    Wires that nothing reads, such as Amaranth's names for the fields of a payload, are dropped.
    """
    # Yosys lets its processes read a variable that changes at the start of a simulation, but Icarus
    # takes its initial value for no change, and what reads only constant registers stays unknown.
    verilog = GUARD.sub(r"\g<0>\n  initial \g<1> = 1;", verilog)
    modules = re.split(r"(?<=^endmodule$)", verilog, flags=re.MULTILINE)
    return "".join(_module(text.split("\n")) for text in modules)


def _module(lines: list[str]) -> str:
    uses = Counter(name for line in lines for name in IDENTIFIER.findall(line))
    vectors = {match[2] for line in lines if (match := VECTOR.fullmatch(line))}
    unread = {name for name in vectors if uses[name] == 2}  # its declaration and its assignment
    expressions: dict[str, str] = {}
    kept = []
    for line in lines:
        assignment, vector = ASSIGNMENT.fullmatch(line), VECTOR.fullmatch(line)
        name = assignment[1] if assignment else vector[2] if vector else ""
        if name in unread:
            continue
        if assignment and name in vectors and COMPUTES.search(assignment[2]):
            expressions[name] = assignment[2]
        else:
            kept.append(line)
    if expressions:
        kept = [_variable(line, expressions) for line in kept]
        end = kept.index("endmodule")
        kept[end:end] = _block(expressions)
    return "\n".join(kept)


def _variable(line: str, expressions: dict[str, str]) -> str:
    """The declaration of a wire that a block assigns now, as one of a variable."""
    vector = VECTOR.fullmatch(line)
    return line.replace("wire", "reg", 1) if vector and vector[2] in expressions else line


def _block(expressions: dict[str, str]) -> list[str]:
    """One block that computes `expressions`, each after those that it reads."""
    reads = {
        name: [read for read in IDENTIFIER.findall(text) if read in expressions]
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
