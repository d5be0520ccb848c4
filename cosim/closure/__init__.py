"""Random and directed stimulus until everything declared has happened; mutation and soak."""
