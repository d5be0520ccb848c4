"""Design-space exploration: what designs cost, how far their attention is off, the best of them."""
