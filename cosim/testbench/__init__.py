"""What runs inside a simulation: the Verilog testbench and the cocotb tests on its pins."""
