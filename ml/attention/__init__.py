"""Attention on gain-cell hardware in torch: exact, fast, cached, and as the heads of a model."""
