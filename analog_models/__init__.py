"""Behavioural models of gain-cell arrays and charge-to-pulse converters, for numpy and torch."""
