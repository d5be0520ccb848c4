"""Energy and area of each circuit of a head."""
