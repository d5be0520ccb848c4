"""Properties of the components, proved by SymbiYosys, each with a variant that violates it."""
