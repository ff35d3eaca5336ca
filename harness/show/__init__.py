"""Tables and figures as values and as files. No torch."""
