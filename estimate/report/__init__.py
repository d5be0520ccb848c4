"""One page about a specification: what it costs, what of it was checked, and from where."""
