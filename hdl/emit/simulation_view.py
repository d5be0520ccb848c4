"""The simulation view of emitted Verilog: the same logic in a form that simulators run faster.

Yosys writes one continuous assignment per gate. Icarus evaluates each of them bit by bit, again
whenever one of its inputs settles (dozens of times a cycle in a deep adder), and a concatenation
whole for every bit that changes. In a procedural block, in the order of the data flow, each is
evaluated once per change and in whole words. `hdl.formal.view` proves that the logic is the same.
"""

import re
from collections import Counter
from graphlib import TopologicalSorter

from common.errors import ToolError

__all__ = ["proceduralise"]

IDENTIFIER = re.compile(r"\\\S+|[A-Za-z_][\w$]*")
VECTOR = re.compile(rf"  wire (\[\d+:0\]) ({IDENTIFIER.pattern}) ?;")
WIRE = re.compile(rf"  wire (?:\[\d+:0\] )?({IDENTIFIER.pattern}) ?;")
PORT_OF_INSTANCE = re.compile(rf"^ +\.(?:{IDENTIFIER.pattern}) ?(?=\()")
ASSIGNMENT = re.compile(rf"  assign ({IDENTIFIER.pattern}) +=(.*);")
COMPUTES = re.compile(r"[&|^~?{]")
WIDE = re.compile(rf"  (?:wire|reg|input|output) \[\d+:0\] ({IDENTIFIER.pattern})")
IS_ZERO = re.compile(rf"(  assign .* =) ! (({IDENTIFIER.pattern}) ?(\[\d+:\d+\])?);")
GUARD = re.compile(r"^  reg (\\\$auto\$verilog_backend\S+) +=\s*0;$", re.MULTILINE)
GUARDED = re.compile(r"^  always @\*(?: begin)?\n    if \((\S+) *\) begin end$", re.MULTILINE)
PROCESS = re.compile(r"^ *always @\*", re.MULTILINE)
KNOWN = re.compile(  # declarations and assignments, of slices too
    rf"  (?:wire|reg) (?:\[\d+:0\] )?(?:{IDENTIFIER.pattern}) *(?:= *(?:0|\d+'[hd][0-9a-f]+))?;"
    rf"|  assign (?:{IDENTIFIER.pattern}) ?(?:\[[\d:]+\])? +=.*;"
)


def proceduralise(verilog: str) -> str:
    """Move the vector assignments that compute something into one `always @*` per module.

    Wires that nothing reads, such as Amaranth's names for the fields of a payload, are dropped.
    Raises `ToolError` for Verilog of another form than Yosys writes today.
    """
    _check(verilog)
    # Yosys lets its processes read a variable that changes at the start of a simulation, but Icarus
    # takes its initial value for no change, and what reads only constant registers stays unknown.
    verilog = GUARD.sub(r"\g<0>\n  initial \g<1> = 1;", verilog)
    modules = re.split(r"(?<=^endmodule$)", verilog, flags=re.MULTILINE)
    return "".join(_module(text.split("\n")) for text in modules)


def _check(verilog: str) -> None:
    """Refuse what the patterns here do not know, instead of leaving it as it is."""
    odd = [
        line
        for line in verilog.splitlines()
        if line.startswith(("  wire ", "  reg ", "  assign ")) and not KNOWN.fullmatch(line)
    ]
    guards, guarded = set(GUARD.findall(verilog)), GUARDED.findall(verilog)
    if len(guarded) != len(PROCESS.findall(verilog)) or guards != set(guarded):
        odd.append("always @*")
    if "endmodule" not in verilog.splitlines():
        odd.append("no module")
    if odd:
        raise ToolError(
            f"the simulation view does not know Verilog of this form: {odd[0].strip()!r}; "
            "adapt hdl/emit/simulation_view.py to this version of Amaranth and Yosys"
        )


def _module(lines: list[str]) -> str:
    wide = {match[1] for line in lines if (match := WIDE.match(line))}
    lines = [_compared(line, wide) for line in _read(lines)]
    vectors = {match[2] for line in lines if (match := VECTOR.fullmatch(line))}
    expressions: dict[str, str] = {}
    kept = []
    for line in lines:
        assignment = ASSIGNMENT.fullmatch(line)
        if assignment and assignment[1] in vectors and COMPUTES.search(assignment[2]):
            expressions[assignment[1]] = assignment[2]
        else:
            kept.append(line)
    if expressions:
        kept = [_variable(line, expressions) for line in kept]
        end = kept.index("endmodule")
        kept[end:end] = _block(expressions)
    return "\n".join(kept)


def _read(lines: list[str]) -> list[str]:
    """The lines without wires that nothing reads, and without those that only such wires read."""
    used = (PORT_OF_INSTANCE.sub("", line) for line in lines)
    uses = Counter(name for text in used for name in IDENTIFIER.findall(text))
    assigned = {match[1]: match[2] for line in lines if (match := ASSIGNMENT.fullmatch(line))}
    declared = {match[1] for line in lines if (match := WIRE.fullmatch(line))}
    unread: set[str] = set()
    todo = [name for name in declared if name in assigned]
    while todo:
        name = todo.pop()
        if uses[name] == 2 and name not in unread:  # its declaration and its assignment
            unread.add(name)
            reads = IDENTIFIER.findall(assigned[name])
            uses.subtract(reads)
            todo += declared.intersection(reads, assigned)
    matches = [ASSIGNMENT.fullmatch(line) or WIRE.fullmatch(line) for line in lines]
    both = zip(lines, matches, strict=True)
    return [line for line, match in both if not (match and match[1] in unread)]


def _compared(line: str, wide: set[str]) -> str:
    """`number == 0` for `! number`: linters want one bit behind a `!`."""
    found = IS_ZERO.fullmatch(line)
    return f"{found[1]} {found[2]} == 0;" if found and (found[4] or found[3] in wide) else line


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
