"""From rows to estimates, tests and verdicts. No torch."""
