// How the cells of the Nangate 45 nm library make what Yosys does not find by itself.

// A full adder: A + B + C = 2 X + Y.
(* techmap_celltype = "$fa" *)
module full_adder (A, B, C, X, Y);
  parameter WIDTH = 1;
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : bits
      FA_X1 adder (.A(A[i]), .B(B[i]), .CI(C[i]), .CO(X[i]), .S(Y[i]));
    end
  endgenerate
endmodule

// A clock gate: strong enough for the flip-flops that one gate serves.
(* techmap_celltype = "clock_gate" *)
module clock_gate_cells (enable, clk, gated);
  input enable, clk;
  output gated;
  CLKGATE_X4 gate (.E(enable), .CK(clk), .GCK(gated));
endmodule
