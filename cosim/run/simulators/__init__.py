"""The Verilog simulators, behind one interface."""
