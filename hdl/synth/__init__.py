"""The head on a cell library: mapped, timed, its power, and its gates for simulation."""
