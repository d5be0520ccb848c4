"""From Amaranth to the Verilog that is handed out, with its contract."""
