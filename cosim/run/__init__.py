"""Building and running simulations: jobs, compiled simulators, sessions, workers."""
