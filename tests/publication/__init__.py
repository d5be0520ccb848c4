"""The publication as an oracle: its equations restated, and the project held against them."""
