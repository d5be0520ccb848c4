import pytest

from common.errors import ToolError
from hdl.emit.simulation_view import proceduralise

MODULE = r"""
module \head.adder (a, b, sum, copy, flag);
  wire [3:0] \$1 ;
  wire [3:0] \field[0] ;
  input [3:0] a;
  wire [3:0] a;
  input [3:0] b;
  wire [3:0] b;
  output [3:0] sum;
  wire [3:0] sum;
  output [3:0] copy;
  wire [3:0] copy;
  output flag;
  wire flag;
  assign sum = \$1  ^ { a[0], a[1], a[2], a[3] };
  assign \$1  = a & b;
  assign \field[0]  = { b[3:2], a[1:0] };
  assign copy = a;
  assign flag = a[0] & b[0];
endmodule
"""


def test_computed_vectors_move_to_a_block_in_the_order_of_the_data():
    text = proceduralise(MODULE)
    block = text[text.index("always @*") : text.index("  end\nendmodule")]
    first, second = (line for line in block.splitlines() if " = " in line)
    assert first.strip() == r"\$1 = a & b;"
    assert second.strip() == r"sum = \$1  ^ { a[0], a[1], a[2], a[3] };"
    assert r"  reg [3:0] \$1 ;" in text and "  reg [3:0] sum;" in text


def test_aliases_and_single_bits_stay_assignments():
    text = proceduralise(MODULE)
    assert "  assign copy = a;" in text and "  assign flag = a[0] & b[0];" in text


def test_what_nothing_reads_is_dropped():
    assert "field" not in proceduralise(MODULE)


CHAIN = r"""
module m (a, b);
  input [3:0] a;
  wire [3:0] a;
  output b;
  wire b;
  wire first;
  wire \second ;
  wire [3:0] \third$1 ;
  wire b$2;
  part part (
    .first(b$2),
    .\second (a)
  );
  assign first = \second ;
  assign \second  = \third$1 [0];
  assign \third$1  = a;
  assign b = b$2;
endmodule
"""


def test_nor_is_what_only_such_wires_read_whatever_the_ports_of_others_are_called():
    text = proceduralise(CHAIN)
    assert "third" not in text
    assert text.count("first") == text.count("second") == 1  # the ports of the part
    assert "  wire b$2;" in text and "  assign b = b$2;" in text


def test_a_comparison_with_zero_is_written_as_one():
    lines = ["wire [3:0] b;", "assign a = ! b[3:0];", "assign c = ! b;", "assign d = ! e;"]
    text = proceduralise("\n".join(["module m;", *(f"  {line}" for line in lines), "endmodule\n"]))
    assert "  assign a = b[3:0] == 0;\n  assign c = b == 0;\n  assign d = ! e;\n" in text


def test_a_module_without_wide_logic_is_left_alone():
    module = "module m (a, b);\n  input a;\n  output b;\n  assign b = ~ a;\nendmodule\n"
    assert proceduralise(module + module) == module + module


@pytest.mark.parametrize(
    "line",
    [
        "  assign a = b",  # goes on in the next line
        "  assign { a, b } = c;",
        "  wire signed [3:0] a;",
        "  wire a = b;",
        "  reg [3:0] a [7:0];",
        "  always @* begin\n    a = b;\n  end",
        r"  reg \$auto$verilog_backend.cc:2355:dump_module$3  = 0;",
    ],
)
def test_verilog_of_a_form_that_is_not_known_is_refused(line):
    with pytest.raises(ToolError, match=r"does not know Verilog of this form: '.*'; adapt hdl/"):
        proceduralise(f"module m;\n{line}\nendmodule\n")


def test_so_is_what_holds_no_module():
    with pytest.raises(ToolError, match="no module"):
        proceduralise("")


def test_processes_run_once_at_the_start_of_a_simulation():
    name = r"\$auto$verilog_backend.cc:2355:dump_module$3 "
    declared, started = f"  reg {name} = 0;\n", f"  initial {name[:-1]} = 1;\n"
    process = f"  always @* begin\n    if ({name}) begin end\n    a = b;\n  end\n"
    text = proceduralise(f"module m;\n{declared}{process}endmodule\n")
    assert text == f"module m;\n{declared}{started}{process}endmodule\n"
