"""Programs that put the language model and the co-simulated hardware together."""
