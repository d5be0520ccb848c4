"""Mixed-signal co-simulation: the Verilog under cocotb, coupled to the analog model."""
