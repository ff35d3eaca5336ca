"""What suites are made of."""
