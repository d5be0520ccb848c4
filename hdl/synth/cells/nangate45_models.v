// The one cell in use whose function the Liberty file gives by an attribute (latch_posedge) only.
module CLKGATE_X4 (E, CK, GCK);
  input E, CK;
  output GCK;
  reg held;
  always @* if (!CK) held = E;
  assign GCK = CK & held;
endmodule
