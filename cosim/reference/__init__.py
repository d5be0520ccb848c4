"""What the RTL is compared with, and the comparison."""
