"""Training: loop, optimisers, ranks, and text."""
