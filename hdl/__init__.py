"""The digital control plane of gain-cell attention in Amaranth."""
