"""What it costs: latency, energy and area, from a specification and what was measured."""
