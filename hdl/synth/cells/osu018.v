// How the cells of the OSU 0.18 um library make what Yosys does not find by itself.

// A full adder: A + B + C = 2 X + Y.
(* techmap_celltype = "$fa" *)
module full_adder (A, B, C, X, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : bits
      FAX1 adder (.A(A[i]), .B(B[i]), .C(C[i]), .YC(X[i]), .YS(Y[i]));
    end
  endgenerate
endmodule

// A clock gate: the library has none of its own. The latch holds `enable` while the clock is high,
// so that the gated clock has no glitch.
(* techmap_celltype = "clock_gate" *)
module clock_gate_cells (enable, clk, gated);
  input enable, clk;
  output gated;
  wire low, held;
  INVX1 invert (.A(clk), .Y(low));
  LATCH hold (.CLK(low), .D(enable), .Q(held));
  AND2X2 gate (.A(clk), .B(held), .Y(gated));
endmodule
