"""Plans, workers and processes."""
